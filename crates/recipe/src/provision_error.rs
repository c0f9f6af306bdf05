// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Why `/run/provision` or `/controller.json` could not be read or written.

use std::{io, path::PathBuf};

use crate::env_file::EnvFileError;

/// Why `/run/provision` could not be written or read. It never repeats contents.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Error of the kernel.
        source: io::Error,
    },
    /// A file is not in the form that this module writes.
    #[error("{path}: {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A value cannot be written to an environment file.
    #[error("recipe.env: {0}")]
    Env(#[from] EnvFileError),
}
