// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The live ISO: commands for its parts, the chain of digests between them, and its file tree;
//! requirements of image-builder, and detection of installers.

pub mod contract;
pub mod installer;
pub mod medium;
pub mod parts;
pub mod tree;
