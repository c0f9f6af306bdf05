// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files that are the source: those that Git tracks, and new ones that it does not ignore.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// A file of the source, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Whether `path` ends with `.EXTENSION`.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

/// Folders of data for tests, whose files are what they are.
const TEST_DATA: &[&str] = &["fixtures", "golden", "proptest-regressions", "snapshots", "testdata"];

/// Whether `path` lies in a folder of data for tests.
pub fn is_test_data(path: &str) -> bool {
    Path::new(path).components().any(|part| TEST_DATA.iter().any(|it| part.as_os_str() == *it))
}

/// Whether a file of Rust is a test, an example or a benchmark, and none of it goes into a program.
pub fn is_test_code(path: &str) -> bool {
    path.split('/').any(|folder| matches!(folder, "tests" | "examples" | "benches" | "fuzz"))
        || path.ends_with("/tests.rs")
}

/// How many lines of a file of Rust stand before the module of its tests.
pub fn lines_before_tests(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

/// The paths of all source files, from the root with `/`, sorted.
///
/// # Errors
/// When Git is missing or `root` is in no repository.
pub fn paths(root: &Path) -> Result<Vec<String>> {
    let git = Shell::new().context("cannot tell the current folder")?;
    git.change_dir(root);
    let listed = cmd!(git, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("cannot list the files of the source")?;
    let mut paths: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    // A conflict lists a file once for each side; a file that was removed is still in the index.
    paths.sort_unstable();
    paths.dedup();
    paths.retain(|path| root.join(path).is_file());
    Ok(paths)
}

/// The files of `paths` below `root` that are text (UTF-8). One that went away since it was listed is no
/// part of the source any more.
///
/// # Errors
/// When a file can't be read.
pub fn texts<'a>(root: &Path, paths: impl Iterator<Item = &'a String>) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        let bytes = match fs::read(root.join(path)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.clone(), text });
        }
    }
    Ok(files)
}
