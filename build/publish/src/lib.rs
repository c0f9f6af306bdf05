// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Steps that sign, publish and verify a release, its version, and its release notes.
#![forbid(unsafe_code)]

pub mod bump;
pub mod channels;
mod history;
pub mod notes;
pub mod outside;
pub mod pages;
pub mod promotion;
pub mod push;
mod registry_arguments;
pub mod release_notes;
mod retention;
mod security;
pub mod sign;
pub mod upkeep;
pub mod verify;
pub mod version;
