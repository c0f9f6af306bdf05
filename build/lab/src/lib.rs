// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Smoke tests of a release: in virtual machines, in containers, over the network.
#![forbid(unsafe_code)]

pub mod qemu;
pub mod rehearsal;
pub mod smoke_faults;
pub mod smoke_fresh;
pub mod smoke_hostile;
pub mod smoke_images;
pub mod smoke_iso;
pub mod smoke_provision;
pub mod smoke_registry;
pub mod smoke_sbom;
pub mod smoke_test_artifacts;
