// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A step's log: a file that holds its commands and all that they wrote, without secrets.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::redact::Redactor;

/// The log of one step. Lines of programs that run at the same time are never mixed.
pub struct StepLog {
    path: PathBuf,
    file: Mutex<File>,
    redactor: Redactor,
    /// Also show each line as it comes.
    echo: bool,
}

impl StepLog {
    /// An empty log `FOLDER/NAME.log`; what an earlier run left there is gone.
    pub(super) fn create(folder: &Path, name: &str, redactor: Redactor) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(format!("{name}.log"));
        let file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, file: Mutex::new(file), redactor, echo: false })
    }

    /// The same log, which also shows on standard error what it takes.
    #[must_use]
    pub fn echoing(mut self, echo: bool) -> Self {
        self.echo = echo;
        self
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line of the step's own.
    pub fn note(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Adds `text`, which ends with a newline where the line is at its end.
    ///
    /// A log that can't be written (a full disk) must not turn a good step into a failed one.
    pub(super) fn write(&self, text: &str) {
        let text = self.redactor.text(text);
        if self.echo {
            crate::ui::passthrough(&text);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        drop(file.write_all(text.as_bytes()));
    }

    /// Takes the secrets out of bytes that a program wrote.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}
