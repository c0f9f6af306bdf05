// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Installs the commit hook, which runs the gates that compile nothing on the index before each
//! commit.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use engine::{Run, Ui};
use foundation::atomic;
use xshell::{Shell, cmd};

/// Identifies our hook, so that an older form of it is replaced and other hooks are not.
const MARK: &str = "# Installed by `cargo xtask setup --hooks`.";

/// Gates with missing programs are left to CI.
const HOOK: &str = "\
cargo xtask validate --staged
code=$?
if [ \"$code\" -eq 3 ]; then exit 0; fi
exit \"$code\"
";

/// Writes the hook; with `dry` only prints its path.
///
/// # Errors
/// When another hook is installed, or Git does not report the folder of hooks.
pub(crate) fn install(run: &Run, dry: bool, ui: &Ui) -> Result<u8> {
    let git = Shell::new().context("cannot determine the current folder")?;
    git.change_dir(run.workspace.root());
    let place = cmd!(git, "git rev-parse --git-path hooks/pre-commit")
        .quiet()
        .read()
        .context("cannot determine the hooks folder of this repository")?;
    let place: PathBuf = run.workspace.root().join(place);
    if dry {
        ui.status("Would write", &place.display().to_string());
        return Ok(0);
    }
    match std::fs::read_to_string(&place) {
        Ok(text) if !text.contains(MARK) => bail!(
            "another hook is installed at {}: add `cargo xtask validate --staged` to it, or \
             remove it",
            place.display()
        ),
        _ => {}
    }
    let hook = format!("#!/bin/sh\n{MARK}\n{HOOK}");
    atomic::write_executable(&place, hook.as_bytes())?;
    ui.status("Installed", &place.display().to_string());
    Ok(0)
}
