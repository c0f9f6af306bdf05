// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Progress of a transfer: a line on stderr for every 5 %, for journals and serial consoles.

use crate::arrange::MIB;

/// Number of lines for a transfer.
const LINES: u64 = 20;

/// Progress of a transfer of known size.
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    shown: u64,
}

impl Progress {
    /// Starts at 0 of `total` bytes; `what` is the prefix of each line.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self { what, total, done: 0, shown: 0 }
    }

    /// Adds `bytes` transferred.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        if let Some(line) = self.line() {
            eprintln!("{line}");
        }
    }

    /// The next line, if it is due.
    fn line(&mut self) -> Option<String> {
        let part = u64::try_from(
            u128::from(self.done) * u128::from(LINES) / u128::from(self.total.max(1)),
        )
        .unwrap_or(LINES);
        if part <= self.shown {
            return None;
        }
        self.shown = part;
        let percent = part * 100 / LINES;
        Some(format!(
            "{}: {percent} % ({} of {} MiB)",
            self.what,
            self.done / MIB,
            self.total.div_ceil(MIB)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_twentieth() {
        let mut progress = Progress::new("pull", 100 * MIB);
        let mut lines = Vec::new();
        for _ in 0..200 {
            progress.done += MIB / 2;
            lines.extend(progress.line());
        }
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], "pull: 5 % (5 of 100 MiB)");
        assert_eq!(lines[19], "pull: 100 % (100 of 100 MiB)");
    }
}
