// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Steps that build release artifacts: binaries, packages, images, the maintenance OS and its ISO,
//! SBOMs, documentation, checksums.
#![forbid(unsafe_code)]

pub mod bases;
pub mod book;
pub mod build;
pub mod checksums;
pub mod images;
pub mod iso;
pub mod maintenance;
pub mod merge;
pub mod package;
pub mod programs;
pub mod sbom;
pub mod test_artifacts;
mod vex;
