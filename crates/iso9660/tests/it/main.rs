// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Images read back by this crate and by other programs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod boot;
mod facts;
mod foreign;
mod golden;
mod hostile;
mod kernel;
mod large;
mod roundtrip;
