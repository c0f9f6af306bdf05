// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Bills of materials, made from what decides a build: the crate graph and the package database.

pub(crate) mod crates;
pub(crate) mod cyclonedx;
pub(crate) mod debian;
pub(crate) mod purl;

#[cfg(test)]
mod tests;
