// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The client with mock BMCs of every vendor and their faults, and with an independent emulator.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod endless;
mod faults;
mod inventory;
mod media;
mod quirks;
mod restart;
mod sessions;
mod sushy_tools;
mod tls;
mod vendors;
