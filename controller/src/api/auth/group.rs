// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Configured groups of servers.

use crate::labels::Labels;

/// Servers with common labels, and the users limited to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name of the group, as used in tokens.
    pub name: String,
    /// Labels that a server needs to be in the group.
    pub labels: Labels,
    /// Users who may access only the servers of their groups.
    pub users: Vec<String>,
}
