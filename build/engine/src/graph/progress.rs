// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Progress of running steps: a live line on a terminal; without a terminal, a line when a step
//! starts and a heartbeat each minute that names what is running.

use std::collections::BTreeMap;
use std::time::Duration;

use foundation::text::seconds;

/// Heartbeat interval without a terminal.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Running steps of `total`, with their start times relative to the start of the run.
pub(super) struct Progress {
    total: usize,
    ended: usize,
    running: BTreeMap<usize, (String, Duration)>,
    next: Duration,
}

impl Progress {
    /// Creates progress for `total` steps.
    pub(super) fn new(total: usize) -> Self {
        Self { total, ended: 0, running: BTreeMap::new(), next: HEARTBEAT }
    }

    /// Records the start of step `node`.
    pub(super) fn start(&mut self, node: usize, name: &str, now: Duration) {
        self.running.insert(node, (name.to_owned(), now));
    }

    /// Records that step `node` has ended or is skipped.
    pub(super) fn end(&mut self, node: usize) {
        self.running.remove(&node);
        self.ended += 1;
    }

    /// Live line, such as `3/7: lint, test (12.0 s)`.
    pub(super) fn line(&self, now: Duration) -> String {
        let names: Vec<_> = self.running.values().map(|(name, _)| name.as_str()).collect();
        format!("{}/{}: {} ({})", self.ended, self.total, names.join(", "), text(now))
    }

    /// Heartbeat, such as `3/7: lint since 12.0 s, test since 3 m 00 s`, once a minute.
    pub(super) fn heartbeat(&mut self, now: Duration) -> Option<String> {
        if now < self.next || self.running.is_empty() {
            return None;
        }
        self.next = now + HEARTBEAT;
        let since = |(name, start): &(String, Duration)| {
            format!("{name} for {}", text(now.saturating_sub(*start)))
        };
        let names: Vec<_> = self.running.values().map(since).collect();
        Some(format!("{}/{}: {}", self.ended, self.total, names.join(", ")))
    }
}

fn text(time: Duration) -> String {
    seconds(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_shows_each_minute_what_runs_and_for_how_long() {
        let at = Duration::from_secs;
        let mut progress = Progress::new(3);
        assert_eq!(progress.heartbeat(at(60)), None);
        progress.start(0, "lint", at(1));
        progress.start(1, "test", at(2));
        assert_eq!(progress.line(at(5)), "0/3: lint, test (5.0 s)");
        assert_eq!(progress.heartbeat(at(59)), None);
        let shown = progress.heartbeat(at(60)).unwrap();
        assert_eq!(shown, "0/3: lint for 59.0 s, test for 58.0 s");
        assert_eq!(progress.heartbeat(at(61)), None);
        progress.end(0);
        assert_eq!(progress.heartbeat(at(122)).unwrap(), "1/3: test for 2 m 00 s");
        progress.end(1);
        assert_eq!(progress.heartbeat(at(300)), None);
    }
}
