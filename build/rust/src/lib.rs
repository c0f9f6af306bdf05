// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Cargo and rustc: targets, flags, crates of a binary, their sources, and yanked versions.
#![forbid(unsafe_code)]

pub mod auditable;
pub mod build;
pub mod graph;
pub mod identity;
pub mod index;
pub mod metadata;
pub mod toolchain;
