// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the crate writes, read back by itself and by programs that are not ours.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod boot;
mod facts;
mod foreign;
mod golden;
mod hostile;
mod kernel;
mod large;
mod roundtrip;
