// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Asks a program for its version, and remembers the answer: some take a second to tell.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use foundation::{atomic, environment};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

/// What a program said of its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// The numbers with dots between, such as `4.3.1`.
    pub(super) text: String,
    /// The same as numbers.
    pub(super) numbers: Vec<u64>,
}

/// What programs said in earlier runs, by what tells one build of them from another.
#[derive(Debug)]
pub(super) struct Memo {
    file: PathBuf,
    answers: Mutex<BTreeMap<String, Version>>,
}

impl Memo {
    /// The answers in `file`; none where it is absent or malformed.
    pub(super) fn open(file: PathBuf) -> Self {
        let read = || serde_json::from_slice(&std::fs::read(&file).ok()?).ok();
        let answers = Mutex::new(read().unwrap_or_default());
        Self { file, answers }
    }

    /// As [`ask`], unless the same was asked of the same build before.
    pub(super) fn ask(&self, identity: &str, program: &Path, args: &[&str]) -> Option<Version> {
        let key = format!("{identity} {}", args.join(" "));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = answers.get(&key) {
            return Some(version.clone());
        }
        let version = ask(program, args)?;
        answers.insert(key, version.clone());
        // Without the file the next run asks again, and that is all.
        if self.file.parent().is_some_and(Path::is_dir) {
            drop(serde_json::to_vec(&*answers).map(|text| atomic::write(&self.file, &text)));
        }
        Some(version)
    }
}

/// Where `path` leads, the size of what is there, its number on the disk, and when it was put there.
pub(super) fn stamp(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match real.metadata() {
        Ok(meta) => format!(
            "{} {} {} {}.{}",
            // A link's name decides what programs like rustup do.
            path.display(),
            meta.ino(),
            meta.len(),
            meta.ctime(),
            meta.ctime_nsec()
        ),
        Err(error) => format!("{} {error}", real.display()),
    }
}

/// What `program` prints to standard output.
pub(super) fn say(program: &Path, args: &[&str]) -> Option<String> {
    let shell = Shell::new().ok()?;
    let command = cmd!(shell, "{program} {args...}").env_clear().envs(environment::public());
    command.quiet().ignore_stderr().read().ok()
}

/// Runs `program` with `args` and takes the first version that it prints, to either stream.
pub(super) fn ask(program: &Path, args: &[&str]) -> Option<Version> {
    let shell = Shell::new().ok()?;
    let command = cmd!(shell, "{program} {args...}").env_clear().envs(environment::public());
    let output = command.env("LC_ALL", "C").quiet().ignore_status().output().ok()?;
    find(&String::from_utf8_lossy(&output.stdout))
        .or_else(|| find(&String::from_utf8_lossy(&output.stderr)))
}

/// The version in what a program prints.
fn find(text: &str) -> Option<Version> {
    dotted(text).or_else(|| single(text.lines().next()?))
}

/// A name and one number, as in `diffoscope 240`.
fn single(line: &str) -> Option<Version> {
    let (_name, number) = line.split_once(' ')?;
    Some(Version { text: number.to_owned(), numbers: vec![number.parse().ok()?] })
}

/// The first run of numbers with dots between, alone or after a `v`: `go1.27.3` is the version of
/// a compiler, which programs in Go print as well.
fn dotted(text: &str) -> Option<Version> {
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
            ("diffoscope 240\n", "240"),
            ("rustfmt 1.8.0-stable (59807616e1 2026-04-14)", "1.8.0"),
        ] {
            assert_eq!(find(printed).unwrap().text, version, "in {printed:?}");
        }
        assert_eq!(find("no version here, build 7"), None);
        assert_eq!(find("GitVersion:    devel\nGoVersion:     go1.27.3\n"), None);
    }
}
