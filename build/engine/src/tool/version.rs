// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Queries program versions and caches them across runs: some programs take a second to print it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use foundation::{atomic, environment};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

/// Version of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Dotted numbers, such as `4.3.1`.
    pub(super) text: String,
    /// The same as numbers.
    pub(super) numbers: Vec<u64>,
}

/// Versions from earlier runs, by program identity.
#[derive(Debug)]
pub(super) struct VersionCache {
    file: PathBuf,
    answers: Mutex<BTreeMap<String, Version>>,
}

impl VersionCache {
    /// Reads the cache in `file`; empty if absent or malformed.
    pub(super) fn open(file: PathBuf) -> Self {
        let read = || serde_json::from_slice(&std::fs::read(&file).ok()?).ok();
        let answers = Mutex::new(read().unwrap_or_default());
        Self { file, answers }
    }

    /// Like [`ask`], cached by `identity`.
    pub(super) fn ask(&self, identity: &str, program: &Path, args: &[&str]) -> Option<Version> {
        let key = format!("{identity} {}", args.join(" "));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = answers.get(&key) {
            return Some(version.clone());
        }
        let version = ask(program, args)?;
        answers.insert(key, version.clone());
        // Writing the cache is optional; without it the next run queries again.
        if self.file.parent().is_some_and(Path::is_dir) {
            drop(serde_json::to_vec(&*answers).map(|text| atomic::write(&self.file, &text)));
        }
        Some(version)
    }
}

/// Resolved path, size, inode and modification time.
pub(super) fn stamp(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match real.metadata() {
        Ok(meta) => format!(
            "{} {} {} {}.{}",
            // Programs like rustup behave by the name of the link.
            path.display(),
            meta.ino(),
            meta.len(),
            meta.ctime(),
            meta.ctime_nsec()
        ),
        Err(error) => format!("{} {error}", real.display()),
    }
}

/// Standard output of `program`.
pub(super) fn read_output(program: &Path, args: &[&str]) -> Option<String> {
    let shell = Shell::new().ok()?;
    let command = cmd!(shell, "{program} {args...}").env_clear().envs(environment::public());
    command.quiet().ignore_stderr().read().ok()
}

/// Runs `program` with `args` and returns the first version in either stream.
pub(super) fn ask(program: &Path, args: &[&str]) -> Option<Version> {
    let shell = Shell::new().ok()?;
    let command = cmd!(shell, "{program} {args...}").env_clear().envs(environment::public());
    let output = command.env("LC_ALL", "C").quiet().ignore_status().output().ok()?;
    find(&String::from_utf8_lossy(&output.stdout))
        .or_else(|| find(&String::from_utf8_lossy(&output.stderr)))
}

/// Finds the version in a program's output.
fn find(text: &str) -> Option<Version> {
    find_dotted(text).or_else(|| find_single(text.lines().next()?))
}

/// A name and one number, as in `diffoscope 240`.
fn find_single(line: &str) -> Option<Version> {
    let (_name, number) = line.split_once(' ')?;
    Some(Version { text: number.to_owned(), numbers: vec![number.parse().ok()?] })
}

/// The first dotted number, alone or after a `v`: not `go1.27.3`, the compiler version that Go
/// programs print as well.
fn find_dotted(text: &str) -> Option<Version> {
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

/// Formats dotted numbers.
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
            ("diffoscope 240\n", "240"),
            ("rustfmt 1.8.0-stable (59807616e1 2026-04-14)", "1.8.0"),
        ] {
            assert_eq!(find(printed).unwrap().text, version, "in {printed:?}");
        }
        assert_eq!(find("no version here, build 7"), None);
        assert_eq!(find("GitVersion:    devel\nGoVersion:     go1.27.3\n"), None);
    }
}
