// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Time limits and retry pauses.

use std::time::Duration;

/// Time limits and retry pauses of a client.
#[derive(Debug, Clone)]
pub struct Timing {
    /// One request, with its connection and its whole answer.
    pub request: Duration,
    /// Most attempts of a request.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub backoff: Duration,
    /// The longest pause, also if a BMC asks for a longer one.
    pub backoff_max: Duration,
    /// Interval between checks of an awaited state.
    pub poll: Duration,
    /// Until a write must be visible.
    pub settle: Duration,
    /// Shutdown of an operating system.
    pub graceful: Duration,
    /// Until the host is seen off, or on.
    pub power: Duration,
    /// From power on until the firmware uses its boot source: large hosts train their memory for
    /// minutes.
    pub post: Duration,
    /// A task of the BMC.
    pub task: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            attempts: 5,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            poll: Duration::from_secs(2),
            settle: Duration::from_mins(1),
            graceful: Duration::from_mins(4),
            power: Duration::from_mins(2),
            post: Duration::from_mins(8),
            task: Duration::from_mins(5),
        }
    }
}

impl Timing {
    /// The pause after attempt number `attempt`, counted from 0.
    ///
    /// Half of it is random, so that a thousand jobs do not call at once after a network failure.
    /// `Retry-After` is respected up to `backoff_max`.
    pub(crate) fn pause(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(attempt.min(16)));
        let whole = doubled.min(self.backoff_max);
        let drawn = whole.mul_f64(0.5 + fastrand::f64() / 2.0);
        drawn.max(retry_after.unwrap_or_default().min(self.backoff_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let timing = Timing::default();
        for attempt in 0..40 {
            let whole = timing.backoff_max.min(timing.backoff * 2_u32.pow(attempt.min(16)));
            let pause = timing.pause(attempt, None);
            assert!(pause >= whole / 2 && pause <= whole, "{attempt}: {pause:?} of {whole:?}");
        }
        let draws: std::collections::BTreeSet<_> = (0..16).map(|_| timing.pause(5, None)).collect();
        assert!(draws.len() > 1);
    }

    #[test]
    fn what_the_bmc_asks_for_is_kept_within_the_limit() {
        let timing = Timing::default();
        assert!(timing.pause(0, Some(Duration::from_secs(20))) >= Duration::from_secs(20));
        assert_eq!(timing.pause(0, Some(Duration::from_hours(1))), timing.backoff_max);
    }
}
