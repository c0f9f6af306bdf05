// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Source files: tracked by Git, or untracked and not ignored.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// A source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    /// Content.
    pub text: String,
}

/// Whether `path` ends with `.EXTENSION`.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

/// Folders of test data, which source rules do not apply to.
const TEST_DATA: &[&str] = &["fixtures", "golden", "proptest-regressions", "snapshots", "testdata"];

/// Whether `path` is in a folder of test data.
pub fn is_test_data(path: &str) -> bool {
    Path::new(path).components().any(|part| TEST_DATA.iter().any(|it| part.as_os_str() == *it))
}

/// Whether a Rust file belongs to tests, examples, benchmarks or fuzz targets only.
pub fn is_test_code(path: &str) -> bool {
    path.split('/').any(|folder| matches!(folder, "tests" | "examples" | "benches" | "fuzz"))
        || path.ends_with("/tests.rs")
}

/// Number of lines of a Rust file before its module of tests.
pub fn lines_before_tests(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

/// Paths of all source files, from the root with `/`, sorted.
///
/// # Errors
/// When Git is missing or `root` is in no repository.
pub fn paths(root: &Path) -> Result<Vec<String>> {
    let git = Shell::new().context("cannot determine the current folder")?;
    git.change_dir(root);
    let listed = cmd!(git, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("cannot list the files of the source")?;
    let mut paths: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    // Git lists a conflicting file once per side, and a removed file until it leaves the index.
    paths.sort_unstable();
    paths.dedup();
    paths.retain(|path| root.join(path).is_file());
    Ok(paths)
}

/// The files of `paths` below `root` that are text (UTF-8). Files that vanished since they were
/// listed are ignored.
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
