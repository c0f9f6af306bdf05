// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Removes build and run output. Installed tools are kept: they are not build output.

use anyhow::Result;
use engine::{Run, Ui};
use foundation::{file, tree};

/// Kept below `target`.
const KEPT: &[&str] = &["tools"];

/// Empties `target` except for the tools; with `dry` only prints what it would remove.
pub(crate) fn run(run: &Run, dry: bool, ui: &Ui) -> Result<u8> {
    let target = run.workspace.target();
    for path in file::list_existing(&target)? {
        if KEPT.iter().any(|kept| path.ends_with(kept)) {
            continue;
        }
        ui.status(if dry { "Would remove" } else { "Removing" }, &path.display().to_string());
        if !dry {
            tree::remove(&path)?;
        }
    }
    Ok(0)
}
