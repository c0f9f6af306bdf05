// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Removes build and run output. Installed tools are kept: they are not build output.

use std::fs;

use anyhow::{Context as _, Result};
use engine::{Run, Ui};

/// Kept below `target`.
const KEPT: &[&str] = &["tools"];

/// Empties `target` except for the tools; with `dry` only prints what it would remove.
pub(crate) fn run(run: &Run, dry: bool, ui: &Ui) -> Result<u8> {
    let target = run.workspace.target();
    let entries = match fs::read_dir(&target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", target.display()));
        }
    };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", target.display()))?.path();
        if KEPT.iter().any(|kept| path.ends_with(kept)) {
            continue;
        }
        ui.status(if dry { "Would remove" } else { "Removing" }, &path.display().to_string());
        if dry {
            continue;
        }
        let link_or_file = path.symlink_metadata().is_ok_and(|it| !it.is_dir());
        let removed = if link_or_file { fs::remove_file(&path) } else { fs::remove_dir_all(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(0)
}
