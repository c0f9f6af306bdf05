// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! mdBook: the gate `docs` checks the book, and a release contains it.

use std::path::Path;

use engine::Run;
use foundation::command::Command;

/// The program.
pub const MDBOOK: &str = "mdbook";

/// Builds the book of `folder` to the folder `to`, both relative to the root.
pub fn build(run: &Run, folder: &Path, to: &str) -> Command {
    let to = run.workspace.root().join(to);
    run.command(MDBOOK).arg("build").arg(folder).arg("--dest-dir").arg(to).env("NO_COLOR", "1")
}
