// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Log lines on stderr, which systemd sends to the journal.

use std::fmt::Display;

/// Logs an action.
pub(crate) fn info(line: impl Display) {
    eprintln!("dispatcher: {line}");
}

/// Logs a warning, which does not stop the task.
pub(crate) fn warn(line: impl Display) {
    eprintln!("dispatcher: warning: {line}");
}

/// Logs the error that stopped the task.
pub(crate) fn error(line: impl Display) {
    eprintln!("dispatcher: error: {line}");
}
