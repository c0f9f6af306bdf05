// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Progress on standard error: a line for each pushed item; on a terminal, the percentage of one
//! large blob at a time.

use std::io::{self, IsTerminal as _, Read, Seek, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use oci::client::{Pushed, Source};
use oci::{Digest, Repository, Selector};

/// Minimum size of a blob for a percentage: smaller ones are too fast to read it.
const WATCHED: u64 = 8 * 1024 * 1024;

/// Prints progress.
pub(super) struct Progress {
    terminal: bool,
    /// True while the last line of the terminal has a percentage.
    busy: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), busy: AtomicBool::new(false) }
    }

    /// Wraps `source` to show its percentage on a terminal, unless another one is shown.
    pub(super) fn watch<'a>(
        &'a self,
        source: &'a mut dyn Source,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> ProgressSource<'a> {
        let shows = self.terminal && size >= WATCHED && !self.busy.swap(true, Ordering::Relaxed);
        let line = shows.then(|| Line { label: label(repository, digest), busy: &self.busy });
        ProgressSource { source, line, size, position: 0, shown: None }
    }

    pub(super) fn blob(&self, repository: &Repository, digest: &Digest, size: u64, pushed: Pushed) {
        self.line(&format!("{} {:>10}  {}", label(repository, digest), bytes(size), word(pushed)));
    }

    pub(super) fn manifest(&self, repository: &Repository, selector: &Selector, pushed: Pushed) {
        let name = match selector {
            Selector::Digest(digest) => label(repository, digest),
            Selector::Tag(tag) => format!("  {repository}:{tag}"),
        };
        self.line(&format!("{name} {:>10}  {}", "manifest", word(pushed)));
    }

    fn line(&self, text: &str) {
        // `ESC [ K` clears the percentage. Write errors are ignored.
        let start = if self.terminal { "\r\u{1b}[K" } else { "" };
        writeln!(io::stderr(), "{start}{text}").ok();
    }
}

fn label(repository: &Repository, digest: &Digest) -> String {
    let short: String = digest.hex().chars().take(12).collect();
    format!("  {repository} {}:{short}", digest.algorithm().name())
}

fn word(pushed: Pushed) -> &'static str {
    match pushed {
        Pushed::Present => "already there",
        Pushed::Mounted => "mounted",
        Pushed::Uploaded => "uploaded",
    }
}

/// Formats a size in binary units.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    let mut unit = "B";
    let (mut whole, mut tenths) = (size, 0);
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = next;
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

/// The last line of the terminal, cleared on drop.
struct Line<'a> {
    label: String,
    busy: &'a AtomicBool,
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.busy.store(false, Ordering::Relaxed);
    }
}

/// A source that reports how much was read.
pub(super) struct ProgressSource<'a> {
    source: &'a mut dyn Source,
    line: Option<Line<'a>>,
    size: u64,
    position: u64,
    shown: Option<u64>,
}

impl Read for ProgressSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.position += n as u64;
        if let Some(Line { label, .. }) = &self.line {
            let percent = self.position.saturating_mul(100) / self.size.max(1);
            if self.shown != Some(percent) {
                self.shown = Some(percent);
                write!(io::stderr(), "\r{label} {:>10}  {percent} %", bytes(self.size)).ok();
            }
        }
        Ok(n)
    }
}

impl Seek for ProgressSource<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.position = self.source.seek(position)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_short() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (5 << 30, "5.0 GiB"),
            (5 << 40, "5120.0 GiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
