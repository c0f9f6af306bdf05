// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs, from the database to machines that are not there: what a BMC sees, and what is kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod course;
mod crash;
mod intake;
mod leases;
mod random;
mod reports;
mod secrets;
mod world;
