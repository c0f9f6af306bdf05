// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The record of a release, `release.json`: what was built, from what and with what.
//!
//! The manifest is the hand-over between the steps of the pipeline: signing, publishing and verifying
//! work from it alone, so they can run on another machine. It holds nothing that differs between two
//! builds of the same commit: signatures lie beside it, named by convention (see [`layout`]).
#![forbid(unsafe_code)]

pub mod layout;
mod manifest;
pub mod test_artifacts;

pub use manifest::{
    Architecture, Artifact, ArtifactKind, Channel, Engine, Image, Manifest, ManifestError,
    Material, Reproduced, Signer, Source,
};
pub use test_artifacts::{TestArtifact, TestArtifacts};
