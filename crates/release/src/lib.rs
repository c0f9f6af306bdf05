// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The manifest of a release, `release.json`: artifacts, inputs and engines.
//!
//! The manifest is the interface between the steps of the pipeline: signing, publishing and
//! verifying work from it alone, so they can run on another machine. It is equal for two builds of
//! the same commit: signatures are separate files, named by convention (see [`layout`]).
#![forbid(unsafe_code)]

pub mod channels;
pub mod layout;
mod manifest;
pub mod test_artifacts;

pub use manifest::{
    Architecture, Artifact, ArtifactKind, Channel, Engine, Image, Manifest, ManifestError,
    Material, Reproduced, Signer, Source,
};
pub use test_artifacts::{TestArtifact, TestArtifacts};
