// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What people see.

/// Shows a piece of a log as it comes.
pub(crate) fn passthrough(text: &str) {
    eprint!("{text}");
}
