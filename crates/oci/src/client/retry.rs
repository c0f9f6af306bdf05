// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Retry policy: number of attempts and delays.

use std::time::{Duration, SystemTime};

/// Environment variable with the delay after the first failure, in milliseconds.
pub const DELAY: &str = "REGISTRY_RETRY_DELAY_MS";

/// Limits for retries of transient failures.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Maximum attempts without progress, including the first. Transfer progress resets the count.
    pub attempts: u32,
    /// Delay after the first failure; doubles with each further one.
    pub first: Duration,
    /// Maximum delay without `Retry-After`.
    pub longest: Duration,
    /// Maximum `Retry-After`; a longer one fails the request at once.
    pub longest_asked: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            longest_asked: Duration::from_mins(2),
        }
    }
}

impl Policy {
    /// The default, with the delay from the environment variable [`DELAY`].
    pub fn from_environment() -> Self {
        let delay = std::env::var(DELAY).ok();
        Self::default().with_delay(delay.as_deref())
    }

    /// Replaces the first delay by `milliseconds`, unless it is not a number.
    fn with_delay(self, milliseconds: Option<&str>) -> Self {
        let first = milliseconds.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        Self { first: first.unwrap_or(self.first), ..self }
    }

    /// Returns the delay after `failures` failures, or `None` to give up.
    ///
    /// `asked` is the delay that the server requests. Half of any other delay is random, so that
    /// clients do not retry in step.
    pub fn wait(&self, failures: u32, asked: Option<Duration>) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= self.longest_asked).then_some(asked);
        }
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        Some(full.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}

/// Parses `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date in the past means no delay.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_end() {
        let policy = Policy { attempts: 8, ..Policy::default() };
        for (failures, full) in [(1, 500), (2, 1000), (3, 2000), (6, 15_000), (7, 15_000)] {
            let wait = policy.wait(failures, None).unwrap();
            let full = Duration::from_millis(full);
            assert!(wait >= full / 2 && wait <= full, "{failures}: {wait:?}");
        }
        assert_eq!(policy.wait(8, None), None);
    }

    #[test]
    fn the_environment_sets_the_first_delay() {
        let first = |text| Policy::default().with_delay(text).first.as_millis();
        assert_eq!((first(Some("1")), first(None), first(Some("soon"))), (1, 500, 500));
    }

    #[test]
    fn what_the_registry_asks_for_is_honoured_within_reason() {
        let policy = Policy::default();
        let asked = |seconds| policy.wait(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(0), Some(Duration::ZERO));
        assert_eq!(asked(120), Some(Duration::from_mins(2)));
        assert_eq!(asked(121), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let seconds = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        // Example date of RFC 9110, section 5.6.7.
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }
}
