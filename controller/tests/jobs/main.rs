// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs with a real database and simulated hosts.
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
mod personalities;
mod random;
mod reports;
mod secrets;
mod world;
