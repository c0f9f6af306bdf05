// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checksums of files, and `SHA256SUMS` in the format of coreutils.
//!
//! A line is the lower-case hex digest, two spaces and the name (coreutils manual, 6.2
//! "md5sum invocation"). A name with a backslash, a newline or a carriage return is escaped, and the
//! line then begins with a backslash.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oci::Digest;

/// The SHA-256 of the file at `path` in lower-case hex, and its size in bytes. The file is streamed.
pub(crate) fn sha256(path: &Path) -> Result<(String, u64)> {
    let place = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(place)?;
    let (digest, size) = Digest::sha256_of(file).with_context(place)?;
    Ok((digest.hex().to_owned(), size))
}

/// `SHA256SUMS` for `sums`, name to lower-case hex, sorted by name.
pub(crate) fn format(sums: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (name, hex) in sums {
        let escaped = escape(name);
        let mark = if escaped == *name { "" } else { "\\" };
        // Writing to a String can't fail.
        let _infallible = writeln!(out, "{mark}{hex}  {escaped}");
    }
    out
}

/// Reads what [`format`] or `sha256sum` wrote: name to lower-case hex.
///
/// Fails with the line's number on anything else, and on a name that stands there twice.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("line {} of the checksums", number + 1);
        let (escaped, line) = match line.strip_prefix('\\') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (hex, name) = line
            .split_once(' ')
            .and_then(|(hex, name)| Some((hex, name.strip_prefix([' ', '*'])?)))
            .filter(|(hex, name)| is_sha256(hex) && !name.is_empty())
            .with_context(|| {
                format!("{}: expected 64 lower-case hex digits, two spaces and a name", place())
            })?;
        let name = if escaped { unescape(name).with_context(place)? } else { name.to_owned() };
        if sums.insert(name.clone(), hex.to_owned()).is_some() {
            bail!("{}: {name:?} stands there twice", place());
        }
    }
    Ok(sums)
}

/// Whether `text` is a SHA-256 in lower-case hex.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn escape(name: &str) -> String {
    name.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r")
}

fn unescape(name: &str) -> Result<String> {
    let mut out = String::new();
    let mut characters = name.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match characters.next() {
            Some('\\') => '\\',
            Some('n') => '\n',
            Some('r') => '\r',
            _ => bail!(r"{name:?}: expected \\, \n or \r after a backslash"),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            sums in prop::collection::btree_map("(?s).{1,20}", "[0-9a-f]{64}", 0..8)
        ) {
            prop_assert_eq!(parse(&format(&sums)).unwrap(), sums);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            drop(parse(&text));
        }
    }

    #[test]
    fn coreutils_accepts_what_we_write_and_writes_what_we_do() {
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
        let theirs =
            Command::new("sha256sum").args(names).current_dir(folder.path()).output().unwrap();
        assert_eq!(
            parse(std::str::from_utf8(&theirs.stdout).unwrap()).unwrap(),
            parse(&text).unwrap()
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = "a".repeat(64);
        for bad in ["", "x", "abc  name", &good, &format!("{good} name"), &format!("{good}  ")] {
            let error = parse(&format!("{good}  first\n{bad}\n")).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{bad:?}: {error}");
        }
        let twice = format!("{good}  a\n{good}  a\n");
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
    }
}
