// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether bytes that are awaited keep coming, or bytes that are sent keep going.
//!
//! A total time would break off large transfers over slow links; the time since the last byte would let a
//! client hold a connection with one byte now and then. So a transfer must move a small amount in each
//! span of time.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Bytes that must move in each span. With the default of a minute, 273 bytes in a second.
const LEAST: usize = 16 * 1024;

/// The transfer did not move.
#[derive(Debug, thiserror::Error)]
#[error("fewer than {LEAST} bytes moved in {0:?}")]
pub(crate) struct Stalled(pub(crate) Duration);

/// Watches one direction of a transfer.
#[derive(Debug)]
pub(crate) struct Progress {
    span: Duration,
    /// Runs while the other end is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    moved: usize,
}

impl Progress {
    /// `span`: how long the other end may take for a small amount.
    pub(crate) fn new(span: Duration) -> Self {
        Self { span, timer: None, moved: 0 }
    }

    /// Notes bytes that moved.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= LEAST {
            self.rest();
        }
    }

    /// Nothing is awaited from the other end.
    pub(crate) fn rest(&mut self) {
        self.timer = None;
        self.moved = 0;
    }

    /// Notes that the other end is waited for.
    ///
    /// # Errors
    /// [`Stalled`] where that takes too long; else `context` is woken when it will have.
    pub(crate) fn wait(&mut self, context: &mut Context<'_>) -> Result<(), Stalled> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.span)));
        if timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        Err(Stalled(self.span))
    }
}

/// Whether an error, or one of those that caused it, is [`Stalled`].
pub(crate) fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(current) = error {
        if current.is::<Stalled>() {
            return true;
        }
        error = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_trickle_is_a_stall_and_a_transfer_is_none() {
        let mut trickle = Progress::new(Duration::from_millis(20));
        let error = poll_fn(|context| match trickle.wait(context) {
            Ok(()) => {
                trickle.moved(1);
                Poll::Pending
            }
            Err(stalled) => Poll::Ready(stalled),
        });
        assert!(is_stalled(&axum::Error::new(error.await)));

        let mut transfer = Progress::new(Duration::from_hours(1));
        poll_fn(|context| {
            assert!(transfer.wait(context).is_ok());
            transfer.moved(LEAST - 1);
            assert!(transfer.timer.is_some());
            // Now the span starts anew.
            transfer.moved(1);
            assert!(transfer.timer.is_none() && transfer.moved == 0);
            Poll::Ready(())
        })
        .await;
    }
}
