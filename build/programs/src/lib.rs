// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Programs of the workspace that steps run: the notary, and the controller as a registry.
#![forbid(unsafe_code)]

pub mod notary;
pub mod registry;
