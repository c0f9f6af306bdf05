// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Detects stalled transfers.
//!
//! A limit on the total time would abort large transfers over slow links. A limit on the time since
//! the last byte would let a client hold a connection with one byte now and then. So a transfer
//! must move a minimum number of bytes per span of time.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Bytes that must move in each span: 273 bytes per second with the default span of one minute.
const LEAST: usize = 16 * 1024;

/// The transfer stalled.
#[derive(Debug, thiserror::Error)]
#[error("fewer than {LEAST} bytes moved in {0:?}")]
pub(crate) struct Stalled(pub(crate) Duration);

/// Watches one direction of a transfer.
#[derive(Debug)]
pub(crate) struct Progress {
    span: Duration,
    /// Runs while the transfer waits for the peer.
    timer: Option<Pin<Box<Sleep>>>,
    moved: usize,
}

impl Progress {
    /// `span`: time in which the minimum must move.
    pub(crate) fn new(span: Duration) -> Self {
        Self { span, timer: None, moved: 0 }
    }

    /// Counts bytes that moved.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= LEAST {
            self.stop_timer();
        }
    }

    /// Stops the timer: the transfer does not wait for the peer.
    pub(crate) fn stop_timer(&mut self) {
        self.timer = None;
        self.moved = 0;
    }

    /// Starts the timer: the transfer waits for the peer.
    ///
    /// # Errors
    /// [`Stalled`] if the span is over; otherwise `context` is woken when it will be.
    pub(crate) fn wait(&mut self, context: &mut Context<'_>) -> Result<(), Stalled> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.span)));
        if timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        Err(Stalled(self.span))
    }
}

/// Returns whether an error or one of its sources is [`Stalled`].
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
                trickle.count_bytes(1);
                Poll::Pending
            }
            Err(stalled) => Poll::Ready(stalled),
        });
        assert!(is_stalled(&axum::Error::new(error.await)));

        let mut transfer = Progress::new(Duration::from_hours(1));
        poll_fn(|context| {
            assert!(transfer.wait(context).is_ok());
            transfer.count_bytes(LEAST - 1);
            assert!(transfer.timer.is_some());
            // A new span starts here.
            transfer.count_bytes(1);
            assert!(transfer.timer.is_none() && transfer.moved == 0);
            Poll::Ready(())
        })
        .await;
    }
}
