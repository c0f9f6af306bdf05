// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checksums of files, and `SHA256SUMS` in the format of coreutils.
//!
//! A line is the lower-case hex digest, two spaces and the name (coreutils manual, 6.2 "md5sum
//! invocation"). A name with a backslash, a newline or a carriage return is escaped, and the line
//! starts with a backslash.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use oci::Digest;

/// SHA-256 of the file at `path` in lower-case hex, and its size in bytes. The file is streamed.
pub fn sha256(path: &Path) -> Result<(String, u64)> {
    let place = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(place)?;
    let (digest, size) = Digest::sha256_of(file).with_context(place)?;
    Ok((digest.hex().to_owned(), size))
}

/// Formats `SHA256SUMS` for `sums` (name to lower-case hex), sorted by name.
pub fn format(sums: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (name, hex) in sums {
        let escaped = escape(name);
        let mark = if escaped == *name { "" } else { "\\" };
        out.push_str(&format!("{mark}{hex}  {escaped}\n"));
    }
    out
}

/// Whether `text` is a SHA-256 in lower-case hex.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn escape(name: &str) -> String {
    name.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn coreutils_accepts_what_we_write_and_writes_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["plain", "with space", "new\nline", "back\\slash", "*star", "é", "cr\rx"];
        let sums = names.map(|name| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            (name.to_owned(), sha256(&path).unwrap().0)
        });
        let text = format(&BTreeMap::from(sums));
        std::fs::write(folder.path().join("SHA256SUMS"), &text).unwrap();
        let check = Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let mut sorted = names;
        sorted.sort_unstable();
        let theirs =
            Command::new("sha256sum").args(sorted).current_dir(folder.path()).output().unwrap();
        assert_eq!(String::from_utf8(theirs.stdout).unwrap(), text);
    }

    #[test]
    fn a_digest_is_64_lower_case_hex_digits() {
        assert!(is_sha256(&"0a".repeat(32)));
        for bad in ["", &"0A".repeat(32), &"0a".repeat(33), &"0g".repeat(32)] {
            assert!(!is_sha256(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = sha256(Path::new("/nowhere/file")).unwrap_err().to_string();
        assert_eq!(error, "cannot read /nowhere/file");
    }
}
