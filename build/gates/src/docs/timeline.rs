// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The drawing of a recorded job shows its events.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::Run;
use foundation::atomic;
use foundation::finding::Finding;
use rules::timeline;

/// The finding that the drawing beside `record` differs from it.
///
/// # Errors
/// When `record` cannot be read or drawn.
pub(super) fn check(run: &Run, record: &str) -> Result<Option<Finding>> {
    let (path, drawing) = draw(run, record)?;
    let is_stale = fs::read_to_string(path).ok().as_ref() != Some(&drawing);
    let message = "the drawing beside it does not show these events";
    let fix = "cargo xtask docs --fix";
    Ok(is_stale.then(|| Finding::in_file(record, "stale-drawing", message, fix)))
}

/// Draws `record` beside it.
///
/// # Errors
/// When `record` cannot be read or drawn, or the drawing cannot be written.
pub(super) fn write(run: &Run, record: &str) -> Result<()> {
    let (path, drawing) = draw(run, record)?;
    atomic::write(&path, drawing.as_bytes())
}

/// The path of the drawing, and its expected content.
fn draw(run: &Run, record: &str) -> Result<(PathBuf, String)> {
    let path = run.workspace.root().join(record);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {record}: correct gates.docs.timeline"))?;
    let drawing = timeline::draw(&text).with_context(|| {
        format!("cannot draw {record}: record it again by `cargo xtask smoke provision`")
    })?;
    Ok((path.with_extension("svg"), drawing))
}
