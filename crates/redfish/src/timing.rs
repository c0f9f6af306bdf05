// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How long everything may take, and how long to wait before it is tried again.

use std::time::Duration;

/// Time limits and pauses of a client.
#[derive(Debug, Clone)]
pub struct Timing {
    /// For one request, with its connection and its whole answer.
    pub request: Duration,
    /// How often a request is made at most.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub backoff: Duration,
    /// The longest pause, also where a BMC asks for a longer one.
    pub backoff_max: Duration,
    /// Between two looks at what is awaited.
    pub poll: Duration,
    /// Until what was written must be read back.
    pub settle: Duration,
    /// For an operating system to shut down.
    pub graceful: Duration,
    /// For a machine to be seen off, or on.
    pub power: Duration,
    /// From power on until the firmware takes its boot source: large machines train their memory
    /// for minutes.
    pub post: Duration,
    /// For a task that the BMC answered with.
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
    /// The pause after attempt number `attempt`, which counts from 0.
    ///
    /// Half of it is random, so that a thousand jobs whose network came back don't call at once.
    /// What the BMC asked for (`Retry-After`) is never undercut, up to `backoff_max`.
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
