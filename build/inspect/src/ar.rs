// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads `ar` archives (ar(5)), the container format of Debian packages (deb(5)).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::archive;

const MAGIC: &[u8] = b"!<arch>\n";
/// Length of a member header.
const HEADER: usize = 60;

/// Names and contents of the members of an archive; `None` if `bytes` is not one.
fn members(bytes: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let header = std::str::from_utf8(rest.get(..HEADER)?).ok()?;
        let size: usize = header.get(48..58)?.trim_end().parse().ok()?;
        let end = HEADER.checked_add(size)?;
        members.push((header.get(..16)?.trim_end(), rest.get(HEADER..end)?));
        // Members are aligned to even offsets.
        rest = rest.get(end.checked_next_multiple_of(2)?..).unwrap_or_default();
    }
    Some(members)
}

/// All files in the Debian package at `path`, with their SHA-256 in hex.
///
/// # Errors
/// When it cannot be read, or is not compressed with gzip as our packages are.
pub fn files_of_deb(path: &Path) -> Result<BTreeMap<String, String>> {
    let place = || format!("cannot read the package {}", path.display());
    let bytes = std::fs::read(path).with_context(place)?;
    let members = members(&bytes).context("not an ar archive").with_context(place)?;
    let data = members.iter().find(|(name, _)| *name == "data.tar.gz");
    let (_, data) = data.context("no data.tar.gz").with_context(place)?;
    let files = archive::files_in(*data).with_context(place)?;
    let absolute = |name: &String| format!("/{}", name.trim_start_matches("./"));
    Ok(files.iter().map(|(name, sha256)| (absolute(name), sha256.clone())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_it_is_it_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let archive = [MAGIC, &bytes].concat();
            let _members = members(&archive);
        }
    }

    #[test]
    fn a_size_beyond_all_memory_is_refused() {
        let header = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a", 0, 0, 0, 0, "9999999999");
        assert_eq!(members(&[MAGIC, header.as_bytes()].concat()), None);
    }
}
