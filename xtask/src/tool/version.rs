// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Asks a program for its version.

use std::path::Path;

use xshell::{Shell, cmd};

/// What a program said of its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The numbers with dots between, such as `4.3.1`.
    pub(super) text: String,
    /// The same as numbers.
    pub(super) numbers: Vec<u64>,
}

/// Runs `program` with `args` and takes the first version that it prints, to either stream.
pub(super) fn ask(program: &Path, args: &[&str]) -> Option<Version> {
    let shell = Shell::new().ok()?;
    let output =
        cmd!(shell, "{program} {args...}").env("LC_ALL", "C").quiet().ignore_status().output();
    let output = output.ok()?;
    find(&String::from_utf8_lossy(&output.stdout))
        .or_else(|| find(&String::from_utf8_lossy(&output.stderr)))
}

/// The first run of numbers with dots between, alone or after a `v`: `go1.27.3` is the version of
/// a compiler, which programs in Go print as well.
fn find(text: &str) -> Option<Version> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').find_map(|word| {
        let word = word.trim_matches('.');
        let word = word.strip_prefix('v').unwrap_or(word);
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let word = word.get(..end)?.trim_matches('.');
        let numbers: Option<Vec<u64>> = word.split('.').map(|part| part.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() > 1)?;
        Some(Version { text: word.to_owned(), numbers })
    })
}

/// Numbers with dots between.
pub(super) fn text(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_what_programs_print() {
        for (printed, version) in [
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", "1.95.0"),
            ("git version 2.39.5", "2.39.5"),
            ("GitVersion:    v3.1.1\nGitCommit: 0", "3.1.1"),
            ("buildah version 1.28.2 (image-spec 1.0.2)", "1.28.2"),
            ("tool 1.2.3rc4", "1.2.3"),
            ("rustfmt 1.8.0-stable (59807616e1 2026-04-14)", "1.8.0"),
        ] {
            assert_eq!(find(printed).unwrap().text, version, "in {printed:?}");
        }
        assert_eq!(find("no version here, build 7"), None);
        assert_eq!(find("GitVersion:    devel\nGoVersion:     go1.27.3\n"), None);
    }
}
