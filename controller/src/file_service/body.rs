// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A response body that reads a file in pieces.
//!
//! If the connection supports [`Handover`], pieces in the page cache are passed to it for
//! sendfile(2). Otherwise the next piece is read on a blocking thread while the last one is sent: a
//! response holds two buffers for any file size, a slow client holds no thread, and a slow disk
//! blocks no other response.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use super::Piece;
use super::handover::{self, Handover};

/// Bytes per read. Larger pieces save system calls, but do not stay in the CPU cache between the
/// read and the send.
const PIECE: u64 = 256 * 1024;
/// Number of buffers kept for reuse.
const SPARE: usize = 16;

/// A part of a response body.
#[derive(Debug)]
pub(super) enum Part {
    /// Multipart headers and delimiters.
    Memory(Bytes),
    /// Range of the served content.
    File(Range<u64>),
}

impl Part {
    /// Returns the length in bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(range) => range.end - range.start,
        }
    }
}

impl From<Range<u64>> for Part {
    fn from(range: Range<u64>) -> Self {
        Self::File(range)
    }
}

/// Bytes of a single source.
#[derive(Debug)]
enum Segment {
    Memory(Bytes),
    File(Current),
}

/// A file and the range of it that is still to be sent.
#[derive(Debug, Clone)]
struct Current {
    file: Arc<File>,
    range: Range<u64>,
}

/// The response body.
#[derive(Debug)]
pub(super) struct FileBody {
    handover: Option<Handover>,
    segments: IntoIter<Segment>,
    current: Option<Current>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    left: u64,
}

impl FileBody {
    /// `parts` are ranges of the concatenated `pieces`; `length` is their total length. `handover`
    /// is that of the connection that sends the body.
    pub(super) fn new(
        pieces: &[Piece],
        parts: Vec<Part>,
        length: u64,
        handover: Option<Handover>,
    ) -> Self {
        let mut segments = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Memory(bytes) => segments.push(Segment::Memory(bytes)),
                Part::File(range) => locate(pieces, &range, &mut segments),
            }
        }
        let segments = segments.into_iter();
        Self { handover, segments, current: None, reading: None, left: length }
    }

    /// Takes the next bytes of the current range, at most `most`.
    fn advance(&mut self, most: u64) -> Option<Current> {
        let current = self.current.as_mut()?;
        let start = current.range.start;
        let end = current.range.end.min(start.saturating_add(most));
        let taken = Current { file: Arc::clone(&current.file), range: start..end };
        current.range.start = end;
        if current.range.is_empty() {
            self.current = None;
        }
        Some(taken)
    }

    /// Passes the next piece of the current part to the connection if it is in the page cache.
    fn queue_cached(&mut self) -> Option<Bytes> {
        let handover = self.handover.clone()?;
        let Current { file, range } = self.current.as_ref()?;
        let end = range.end.min(range.start.saturating_add(handover::LARGEST as u64));
        if !is_cached(file, range.start) || !is_cached(file, end - 1) {
            return None;
        }
        let Current { file, range } = self.advance(handover::LARGEST as u64)?;
        Some(handover.note(&file, range))
    }

    /// Starts to read the next piece of the current part, if there is one.
    fn read_ahead(&mut self) {
        if self.reading.is_none()
            && let Some(Current { file, range }) = self.advance(PIECE)
        {
            let length = range.end - range.start;
            self.reading = Some(spawn_blocking(move || read(&file, range.start, length)));
        }
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        while self.reading.is_none() && self.current.is_none() {
            match self.segments.next() {
                None => return Poll::Ready(None),
                Some(Segment::File(current)) => self.current = Some(current),
                Some(Segment::Memory(bytes)) => {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
        }
        if self.reading.is_none()
            && let Some(bytes) = self.queue_cached()
        {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        self.read_ahead();
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let bytes = read.map_err(io::Error::other).flatten();
        // With a handover, the next piece is likely to be cached by then.
        if self.handover.is_none() {
            self.read_ahead();
        }
        if let Ok(bytes) = &bytes {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(Some(bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Maps a range of the content to ranges of its pieces.
fn locate(pieces: &[Piece], range: &Range<u64>, segments: &mut Vec<Segment>) {
    let mut begin = 0;
    for piece in pieces {
        let end = begin + piece.length();
        let (from, to) = (range.start.max(begin), range.end.min(end));
        if from < to {
            let inside = from - begin..to - begin;
            segments.push(match piece {
                Piece::File(file, _) => {
                    Segment::File(Current { file: Arc::clone(file), range: inside })
                }
                Piece::Memory(bytes) => {
                    // The piece is in memory, so its length is a usize.
                    let at = |offset: u64| usize::try_from(offset).unwrap_or(bytes.len());
                    Segment::Memory(bytes.slice(at(inside.start)..at(inside.end)))
                }
            });
        }
        begin = end;
    }
}

/// Returns whether the byte at `offset` is in the page cache. The kernel reads ahead in long runs,
/// so a piece is cached if its first and last byte are.
fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    read == Ok(1)
}

/// Reads exactly `length` bytes. A file that ends early is an error that closes the connection, so
/// that the client detects the truncation.
fn read(file: &File, start: u64, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut buffer = Buffer::take();
    buffer.0.resize(length, 0);
    file.read_exact_at(&mut buffer.0, start)?;
    Ok(Bytes::from_owner(buffer))
}

/// Reused memory: page faults of fresh memory cost more than the read.
struct Buffer(Vec<u8>);

static SPARES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl Buffer {
    fn take() -> Self {
        let spare = SPARES.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(spare.unwrap_or_default())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARE {
            spares.push(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn body(content: &[u8], parts: Vec<Part>) -> FileBody {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let length = parts.iter().map(Part::length).sum();
        let file = Piece::File(Arc::new(File::open(path).unwrap()), content.len() as u64);
        FileBody::new(&[file], parts, length, None)
    }

    #[tokio::test]
    async fn parts_arrive_in_order_and_complete() {
        let content: Vec<u8> = (0..=250).cycle().take(800_000).collect();
        let size = content.len() as u64;
        let parts = vec![
            Part::File(0..size),
            Part::Memory(Bytes::from_static(b"between")),
            Part::File(5..9),
        ];
        let got = body(&content, parts).collect().await.unwrap().to_bytes();
        let expected = [&content[..], b"between", &content[5..9]].concat();
        assert!(got == expected);
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let pieces = [Piece::File(Arc::new(file), 100)];
        let got = FileBody::new(&pieces, vec![Part::File(0..100)], 100, None).collect().await;
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn cached_pieces_are_sent_by_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1; 3_000_000]).unwrap();
        let file = Arc::new(File::open(path).unwrap());
        // Needs RWF_NOWAIT, which tmpfs, overlayfs and others do not support.
        let given = is_cached(&file, 0);
        if !test_support::machine_gives("a file system with RWF_NOWAIT below TMPDIR", given) {
            return;
        }
        let handover = Handover::default();
        let parts = vec![Part::File(0..3_000_000)];
        let pieces = [Piece::File(file, 3_000_000)];
        let mut body = FileBody::new(&pieces, parts, 3_000_000, Some(handover));
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let bytes = frame.unwrap().into_data().unwrap();
            assert!(handover::is_stand_in(&bytes));
            length += bytes.len();
        }
        assert_eq!(length, 3_000_000);
    }

    #[tokio::test]
    async fn several_pieces_are_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = ["first", "second"].map(|text| {
            let path = folder.path().join(text);
            std::fs::write(&path, text).unwrap();
            Piece::File(Arc::new(File::open(path).unwrap()), text.len() as u64)
        });
        let [first, second] = pieces;
        let pieces = [first, Piece::Memory(Bytes::from_static(b" and ")), second];
        let whole = b"first and second";
        for from in 0..whole.len() {
            for to in from + 1..=whole.len() {
                let parts = vec![Part::File(from as u64..to as u64)];
                let body = FileBody::new(&pieces, parts, (to - from) as u64, None);
                assert_eq!(body.collect().await.unwrap().to_bytes(), whole[from..to]);
            }
        }
    }

    #[tokio::test]
    async fn an_empty_file_has_an_empty_body() {
        let got = body(b"", Vec::new());
        assert!(http_body::Body::is_end_stream(&got));
        assert!(got.collect().await.unwrap().to_bytes().is_empty());
    }
}
