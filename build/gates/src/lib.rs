// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gates: steps that check the source and run the tests.
#![forbid(unsafe_code)]

pub mod audit;
pub mod commits;
pub mod containers;
pub mod coverage;
pub mod deadcode;
pub mod docs;
pub mod fmt;
pub mod fuzz;
pub mod headers;
pub mod layers;
pub mod licenses;
pub mod lint;
pub mod schema;
pub mod secrets;
pub mod soak;
pub mod test;
pub mod workflows;
