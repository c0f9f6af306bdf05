// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! gzip streams (RFC 1952) that depend on their content only.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};

/// The operating system in the header: unknown (RFC 1952, 2.3.1).
const OS_UNKNOWN: u8 = 255;

/// Compresses `bytes` with the best compression.
pub(crate) fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let header = GzBuilder::new().mtime(0).operating_system(OS_UNKNOWN);
    let mut out = header.write(Vec::new(), Compression::best());
    out.write_all(bytes)?;
    Ok(out.finish()?)
}
