// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Cargo and rustc: which target, which flags, which crates end up in a binary, where they come from, and
//! which of them were taken back.
#![forbid(unsafe_code)]

pub mod auditable;
pub mod build;
pub mod graph;
pub mod identity;
pub mod index;
pub mod metadata;
pub mod toolchain;
