// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Cargo and rustc: which target, which flags, which crates end up in a binary, where they come from, and
//! which of them were taken back.

pub(crate) mod auditable;
pub(crate) mod build;
pub(crate) mod graph;
pub(crate) mod index;
pub(crate) mod metadata;
pub(crate) mod toolchain;
