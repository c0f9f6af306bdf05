// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files that are there whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

/// Writes a file that everybody may read, in the place of any that is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = || format!("cannot write {}", path.display());
    let folder = folder(path);
    fs::create_dir_all(folder).with_context(fail)?;
    let file = filled(folder, bytes, 0o644).with_context(fail)?;
    file.persist(path).with_context(fail)?;
    sync(folder).with_context(fail)
}

/// Writes a file with the given mode, and fails if there is one already.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fail = || format!("cannot write {}; nothing is replaced", path.display());
    let folder = folder(path);
    let file = filled(folder, bytes, mode).with_context(fail)?;
    file.persist_noclobber(path).with_context(fail)?;
    sync(folder).with_context(fail)
}

/// A temporary file, which is made with mode 0600 and gets its own before it gets its name.
fn filled(folder: &Path, bytes: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

/// Makes a new name in `folder` survive a power failure.
fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
