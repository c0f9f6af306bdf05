// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Lets a client read a response that was sent before its request was complete.
//!
//! A push that is refused for lack of a login or of space is answered while its body is still being
//! sent. If the server closed the connection then, the kernel would reset it, and the client would
//! see the reset instead of the response. So the rest of the body is read and discarded for a
//! limited time (RFC 9112, section 9.6).
//!
//! Also ends transfers that stall, in either direction: see `progress`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use crate::progress::Progress;

/// How long the rest of a refused request is read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Set when a request body is dropped before its end.
#[derive(Debug, Clone)]
pub(crate) struct UnreadBody {
    is_set: Arc<AtomicBool>,
    stall_timeout: Duration,
}

impl UnreadBody {
    /// `stall_timeout`: limit for stalled bodies.
    pub(crate) fn new(stall_timeout: Duration) -> Self {
        Self { is_set: Arc::default(), stall_timeout }
    }

    /// Wraps a body, unless it is empty.
    pub(crate) fn watch(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let progress = Progress::new(self.stall_timeout);
        Body::new(Watched { inner: body, ended: false, unread: self.clone(), progress })
    }

    /// Adds `Connection: close` to the response if the body was not read to its end.
    pub(crate) fn announce(&self, mut response: Response<Body>) -> Response<Body> {
        if self.is_set() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }
}

struct Watched {
    inner: Body,
    ended: bool,
    unread: UnreadBody,
    progress: Progress,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            return match self.progress.wait(context) {
                Ok(()) => Poll::Pending,
                Err(stalled) => {
                    self.ended = true;
                    Poll::Ready(Some(Err(axum::Error::new(stalled))))
                }
            };
        };
        if let Some(Ok(frame)) = &frame {
            self.progress.count_bytes(frame.data_ref().map_or(0, Bytes::len));
        }
        // An error ends the body.
        self.ended |= !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended && !self.inner.is_end_stream() {
            self.unread.is_set.store(true, Ordering::Relaxed);
        }
    }
}

/// A connection that reads the rest of a refused request before it closes, and detects stalls.
pub(crate) struct Lingering<S> {
    stream: TokioIo<S>,
    sending: Progress,
    unread: UnreadBody,
    answered: bool,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(crate) fn new(stream: S, unread: UnreadBody) -> Self {
        let sending = Progress::new(unread.stall_timeout);
        Self { stream: TokioIo::new(stream), sending, unread, answered: false, patience: None }
    }

    /// Fails if the client has read nothing for too long.
    fn check_progress(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &sent {
            Poll::Ready(Ok(bytes)) => self.sending.count_bytes(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if let Err(stalled) = self.sending.wait(context) {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, stalled)));
                }
            }
        }
        sent
    }
}

impl<S: AsyncRead + Unpin> Read for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_progress(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.check_progress(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.sending.stop_timer();
        }
        self.check_progress(context, flushed.map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.answered {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.answered = true;
        }
        if !this.unread.is_set() {
            return Poll::Ready(Ok(()));
        }
        let patience = this.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        loop {
            if patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 16 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer.unfilled()))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
