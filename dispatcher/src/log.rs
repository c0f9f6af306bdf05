// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Lines on stderr, which systemd hands to the journal.

use std::fmt::Display;

/// What was done.
pub(crate) fn info(line: impl Display) {
    eprintln!("dispatcher: {line}");
}

/// What may be wrong, and does not stop the task.
pub(crate) fn warning(line: impl Display) {
    eprintln!("dispatcher: warning: {line}");
}

/// What stopped the task.
pub(crate) fn error(line: impl Display) {
    eprintln!("dispatcher: error: {line}");
}
