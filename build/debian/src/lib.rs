// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages: control data, versions, the lock of image packages, root file systems built
//! from it, and security updates.
#![forbid(unsafe_code)]

pub mod apt;
pub mod bootstrap;
pub mod changelog;
pub mod control;
pub mod copyright;
mod date;
pub mod expired;
pub mod lock;
pub mod root;
pub mod security;
pub mod version;
