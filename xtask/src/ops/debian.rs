// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages: their control data, the lock of the packages that images are made of, and the
//! root file system made from those.

pub(crate) mod apt;
pub(crate) mod bootstrap;
pub(crate) mod control;
pub(crate) mod lock;
