// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A step's log file: its commands and their output, redacted.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::redact::Redactor;

/// The log of one step. Lines of parallel programs are never interleaved.
pub struct StepLog {
    path: PathBuf,
    file: Mutex<File>,
    redactor: Redactor,
    /// Whether to print each line on standard error too.
    echo: bool,
}

impl StepLog {
    /// Creates an empty log `FOLDER/NAME.log`, replacing an earlier one.
    pub(super) fn create(folder: &Path, name: &str, redactor: Redactor) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let path = folder.join(format!("{name}.log"));
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, file: Mutex::new(file), redactor, echo: false })
    }

    /// The same log, with echo to standard error.
    #[must_use]
    pub fn with_echo(mut self, echo: bool) -> Self {
        self.echo = echo;
        self
    }

    /// Path of the log file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line of the step itself.
    pub fn note(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Appends `text`.
    ///
    /// Write errors (a full disk) are ignored: they must not fail a successful step.
    pub(super) fn write(&self, text: &str) {
        let text = self.redactor.text(text);
        if self.echo {
            crate::ui::passthrough(&text);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        drop(file.write_all(text.as_bytes()));
    }

    /// The redactor for output of programs.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}
