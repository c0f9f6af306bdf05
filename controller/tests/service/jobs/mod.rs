// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs with a real database and simulated hosts.

mod course;
mod crash;
mod intake;
mod leases;
mod personalities;
mod random;
mod reports;
mod secrets;
pub(crate) mod world;
