// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The client against BMCs of every vendor, with the faults that they have, and against one that
//! nobody here wrote.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod endless;
mod faults;
mod media;
mod quirks;
mod restart;
mod sessions;
mod sushy_tools;
mod tls;
mod vendors;
