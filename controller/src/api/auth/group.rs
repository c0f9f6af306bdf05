// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Groups of servers, as the configuration names them.

use crate::labels::Labels;

/// Servers that have these labels, and the users that are limited to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// By which tokens name it.
    pub name: String,
    /// The servers that have all of these.
    pub labels: Labels,
    /// Users that may see and use the servers of their groups alone.
    pub users: Vec<String>,
}
