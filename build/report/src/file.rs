// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files that may be missing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Content of a file, or the reason why it is unknown.
pub(crate) type Known<T> = Result<T, String>;

/// Reads a file; a missing one is reported with `fix`.
pub(crate) fn read(root: &Path, path: &Path, fix: &str) -> Known<Vec<u8>> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("There is no {}: {fix}.", show_path(root, path)),
        _ => format!("Cannot read {}: {error}.", show_path(root, path)),
    })
}

/// Reads a text file below the root.
pub(crate) fn read_text(root: &Path, path: &str, fix: &str) -> Known<String> {
    let bytes = read(root, &root.join(path), fix)?;
    String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8."))
}

/// The path below the root: the page has no path of the host.
pub(crate) fn show_path(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
