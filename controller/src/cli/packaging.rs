// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files of the packages: manual pages and shell completions, generated from the same definitions
//! as `--help`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// Shells with completions in the packages.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

#[derive(Debug, Args)]
pub(super) struct Packaging {
    /// Output folder; files are written to its subfolders man/ and completions/
    folder: PathBuf,
}

impl Packaging {
    pub(super) fn run(&self) -> Result<()> {
        let man = folder(&self.folder.join("man"))?;
        clap_mangen::generate_to(Cli::command(), &man)
            .with_context(|| format!("cannot write manual pages to {}", man.display()))?;
        let completions = folder(&self.folder.join("completions"))?;
        for shell in SHELLS {
            clap_complete::generate_to(shell, &mut Cli::command(), "controller", &completions)
                .with_context(|| format!("cannot write completions for {shell}"))?;
        }
        Ok(())
    }
}

fn folder(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path.to_owned())
}
