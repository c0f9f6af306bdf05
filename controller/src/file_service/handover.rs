// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sends files from the page cache to the network without copying them through this process.
//!
//! hyper writes buffers from memory. So a file body gives hyper slices of a placeholder buffer,
//! which is never read or written, and queues the piece of the file that each slice represents. The
//! connection recognizes the placeholder by its address and calls sendfile(2) instead.
//!
//! Code that copies the body, to compress or encrypt it, would copy the placeholder. So a
//! connection offers a [`Handover`] only if nothing is between hyper and the socket.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::sendfile;

/// Maximum bytes that one slice represents.
pub(super) const LARGEST: usize = 1024 * 1024;

/// Zeroed memory: the kernel allocates no pages for it until it is touched.
static STAND_IN: LazyLock<Bytes> = LazyLock::new(|| vec![0; LARGEST].into());

/// Returns whether a buffer is a slice of the placeholder.
pub(super) fn is_stand_in(bytes: &[u8]) -> bool {
    !bytes.is_empty() && STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

/// Queue of file pieces that a connection sends in place of placeholder slices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handover(Arc<Mutex<VecDeque<Piece>>>);

#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    range: Range<u64>,
}

impl Handover {
    /// Queues a piece of at most [`LARGEST`] bytes. Returns its placeholder.
    pub(super) fn note(&self, file: &Arc<File>, range: Range<u64>) -> Bytes {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let slice = STAND_IN.slice(..length.min(STAND_IN.len()));
        let piece = Piece { file: Arc::clone(file), range };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(piece);
        slice
    }

    /// Returns whether all pieces were sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Sends up to `most` bytes of the next piece. Returns the number of bytes sent.
    ///
    /// # Errors
    /// `WouldBlock` if the socket buffer is full, `UnexpectedEof` if the file was truncated.
    pub(super) fn send(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = pieces.front_mut().ok_or(io::ErrorKind::InvalidData)?;
        let left = usize::try_from(piece.range.end - piece.range.start).unwrap_or(usize::MAX);
        // Advances the start of the range.
        let sent = sendfile(socket, &piece.file, Some(&mut piece.range.start), left.min(most))?;
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if piece.range.is_empty() {
            pieces.pop_front();
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn pieces_are_sent_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let handover = Handover::default();
        for range in [2..5, 0..1] {
            let slice = handover.note(&file, range.clone());
            assert!(is_stand_in(&slice) && is_stand_in(&slice[slice.len() - 1..]));
            assert_eq!(slice.len() as u64, range.end - range.start);
        }
        let (here, mut there) = UnixStream::pair().unwrap();
        assert_eq!(handover.send(&here, 2).unwrap(), 2);
        assert_eq!(handover.send(&here, 100).unwrap(), 1);
        assert_eq!(handover.send(&here, 100).unwrap(), 1);
        assert_eq!(handover.send(&here, 1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(handover.note(&file, 9..20));
        assert_eq!(handover.send(&here, 100).unwrap(), 1);
        let error = handover.send(&here, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        drop(here);
        let mut came = String::new();
        there.read_to_string(&mut came).unwrap();
        assert_eq!(came, "23409");
    }

    #[test]
    fn other_bytes_are_not_the_placeholder() {
        assert!(!is_stand_in(b""));
        assert!(!is_stand_in(b"text"));
        assert!(!is_stand_in(&STAND_IN[..0]));
        assert!(!is_stand_in(&vec![0; 4096]));
    }
}
