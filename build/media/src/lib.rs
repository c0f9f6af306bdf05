// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Images and ISOs as files: OCI layouts and layers, running images, the live ISO.
#![forbid(unsafe_code)]

pub mod base;
pub mod container;
pub mod flatten;
pub mod identity;
pub mod layer;
pub mod live;
pub mod native;
pub mod native_base;
pub mod normalise;
pub mod platforms;
pub mod root;
