// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A TCP connection that replaces placeholder slices with file pieces of its [`Handover`].

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::handover::{Handover, is_stand_in};

/// The TCP connection. hyper must write to it directly.
pub(crate) struct Socket {
    stream: TcpStream,
    handover: Handover,
}

impl Socket {
    /// `handover` must belong to this connection only.
    pub(crate) fn new(stream: TcpStream, handover: Handover) -> Self {
        Self { stream, handover }
    }

    /// Calls `write` when the socket is writable.
    fn poll_when_writable(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_io(Interest::WRITABLE, || write(&self.stream)) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_stand_in(bytes) {
            let most = bytes.len();
            return self.poll_when_writable(context, |stream| self.handover.send(stream, most));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [first, ..] if is_stand_in(first) => self.poll_write(context, first),
            // Send the response head in one segment with the start of the file.
            [first, second, ..] if is_stand_in(second) => {
                let more = SendFlags::MORE | SendFlags::NOSIGNAL;
                self.poll_when_writable(context, |stream| Ok(send(stream, first, more)?))
            }
            _ => {
                let plain = pieces.iter().take_while(|piece| !is_stand_in(piece)).count();
                let plain = pieces.get(..plain).unwrap_or_default();
                Pin::new(&mut self.stream).poll_write_vectored(context, plain)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Otherwise hyper would copy the buffers into one.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes after writing everything. If a piece is left, the placeholder was sent.
        if !self.handover.is_empty() {
            let text = "a placeholder was sent instead of a file piece";
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, text)));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(handover: Handover) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (here, _) = listener.accept().await.unwrap();
        (Socket::new(here, handover), there)
    }

    #[tokio::test]
    async fn pieces_go_out_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = Arc::new(File::open(path).unwrap());
        let handover = Handover::default();
        let (mut socket, mut there) = pair(handover.clone()).await;
        let (one, two) = (handover.note(&file, 0..3), handover.note(&file, 7..9));
        let pieces: [&[u8]; 5] = [b"head ", &one, b" between ", &two, b" end"];
        let mut slices = pieces.map(IoSlice::new);
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let n = socket.write_vectored(slices).await.unwrap();
            IoSlice::advance_slices(&mut slices, n);
        }
        socket.flush().await.unwrap();
        socket.shutdown().await.unwrap();
        let mut came = String::new();
        there.read_to_string(&mut came).await.unwrap();
        assert_eq!(came, "head 012 between 78 end");
    }

    #[tokio::test]
    async fn a_copy_of_the_stand_in_ends_the_connection() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let handover = Handover::default();
        let (mut socket, _there) = pair(handover.clone()).await;
        let copied = handover.note(&Arc::new(file), 0..10).to_vec();
        socket.write_all(&copied).await.unwrap();
        assert_eq!(socket.flush().await.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
