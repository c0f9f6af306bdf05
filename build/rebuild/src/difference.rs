// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Where two files differ: by bytes, and the innermost place by diffoscope.

use std::path::Path;

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use serde::Deserialize;

pub(super) const DIFFOSCOPE: &str = "diffoscope";
/// Time for one file in seconds: an ISO contains a whole operating system.
const TIMEOUT: &str = "120";
/// Number of bytes shown of each side.
const SHOWN: usize = 16;
/// Number of characters shown of a line.
const LINE: usize = 80;

/// The first difference of `first` and `second`, such as `at offset 0x6: 77 6f, and the end`.
pub(super) fn find_first(first: &[u8], second: &[u8]) -> Option<String> {
    if first == second {
        return None;
    }
    let common = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let show = |bytes: &[u8]| match bytes.get(common..) {
        None | Some([]) => "the end".to_owned(),
        Some(rest) => {
            let hex: Vec<_> = rest.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
            hex.join(" ")
        }
    };
    Some(format!("at offset {common:#x}: {}, and {}", show(first), show(second)))
}

/// The innermost place of the first difference, and its first line on each side; `None` if diffoscope
/// finds none in time.
///
/// # Errors
/// When diffoscope cannot run.
pub(super) fn find_place(
    run: &Run,
    log: &StepLog,
    first: &Path,
    second: &Path,
) -> Result<Option<String>> {
    let command =
        run.command(DIFFOSCOPE).args(["--timeout", TIMEOUT, "--no-progress", "--json", "-"]);
    let finished = run.attempt_machine(log, &command.arg(first).arg(second))?;
    match finished.code() {
        Some(1) => place(finished.stdout()).map(Some),
        _ => Ok(None),
    }
}

/// A pair of files, or of what a command prints about them.
#[derive(Deserialize)]
struct Pair {
    source1: String,
    unified_diff: Option<String>,
    #[serde(default)]
    details: Vec<Self>,
}

impl Pair {
    /// The pair inside that explains most. Symbols and digests of an executable follow from its sections.
    fn inner(&self) -> Option<&Self> {
        self.details.iter().find(|it| it.section().is_some()).or(self.details.first())
    }

    /// The section that `readelf --hex-dump=.SECTION {}` prints.
    fn section(&self) -> Option<&str> {
        let (before, _) = self.source1.split_once('.')?;
        let section = self.source1.get(before.len()..)?;
        section.split(' ').next().filter(|_| before.ends_with("-dump="))
    }
}

/// Reads diffoscope's report.
fn place(report: &[u8]) -> Result<String> {
    let mut pair: &Pair =
        &serde_json::from_slice(report).context("diffoscope did not print valid JSON")?;
    let mut places = Vec::new();
    while let Some(inner) = pair.inner() {
        places.push(inner.section().unwrap_or(&inner.source1));
        pair = inner;
    }
    let side = |mark: char| {
        let line =
            pair.unified_diff.as_deref()?.lines().find_map(|line| line.strip_prefix(mark))?;
        Some(line.trim().chars().take(LINE).collect::<String>())
    };
    let show = |mark| side(mark).unwrap_or_else(|| "nothing".to_owned());
    // A plain file has no place inside.
    let place =
        if places.is_empty() { String::new() } else { format!("in {}: ", places.join(" > ")) };
    Ok(format!("{place}{}, and {}", show('-'), show('+')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_that_differ_are_shown() {
        assert_eq!(find_first(b"a", b"a"), None);
        assert_eq!(find_first(b"ab", b"acd").unwrap(), "at offset 0x1: 62, and 63 64");
        assert_eq!(find_first(b"ab", b"a").unwrap(), "at offset 0x1: 62, and the end");
    }

    #[test]
    fn the_innermost_place_that_diffoscope_reports_is_named() {
        let archive = r#"{"source1": "a.tar.gz", "unified_diff": null, "details": [{"source1": "a.tar",
            "unified_diff": null, "details": [{"source1": "deep/file",
            "unified_diff": "@@ -1 +1 @@\n-hello world\n+hello there\n"}]}]}"#;
        let expected = "in a.tar > deep/file: hello world, and hello there";
        assert_eq!(place(archive.as_bytes()).unwrap(), expected);
        let program = r#"{"source1": "one", "unified_diff": null, "details": [
            {"source1": "readelf --wide --debug-dump=frames {}", "unified_diff": "@@ -1 @@\n-1"},
            {"source1": "readelf --wide --hex-dump=.rodata {}", "unified_diff": "@@ -1 +2 @@\n+  2"}]}"#;
        assert_eq!(place(program.as_bytes()).unwrap(), "in .rodata: nothing, and 2");
        let plain = r#"{"source1": "a", "unified_diff": "@@ -1 +1 @@\n-x\n+y"}"#;
        assert_eq!(place(plain.as_bytes()).unwrap(), "x, and y");
        assert!(place(b"").is_err());
    }
}
