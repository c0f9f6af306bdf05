// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages: their control data and versions, the lock of the packages that images are made of,
//! the root file system made from those, and which of them have security updates.

pub(crate) mod apt;
pub(crate) mod bootstrap;
pub(crate) mod changelog;
pub(crate) mod control;
pub(crate) mod copyright;
mod date;
pub(crate) mod expired;
pub(crate) mod lock;
pub(crate) mod security;
pub(crate) mod version;
