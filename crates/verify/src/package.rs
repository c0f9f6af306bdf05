// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files inside a package, by their SHA-256: a bill of materials is that of the executable, and
//! a release may deliver the executable inside a `.tar.gz` only.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::GzDecoder;
use oci::Digest;

/// More than any package holds: an archive that unpacks to more is a trap.
const UNPACKED_LIMIT: u64 = 4 * 1024 * 1024 * 1024;

/// SHA-256 in hex to path, for each file in a gzip-compressed tar archive. Nothing is unpacked to disk.
pub(crate) fn members(archive: impl Read) -> io::Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(UNPACKED_LIMIT));
    let mut members = BTreeMap::new();
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.to_string_lossy().into_owned();
            members.insert(Digest::sha256_of(entry)?.0.hex().to_owned(), path);
        }
    }
    Ok(members)
}
