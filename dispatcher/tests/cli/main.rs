// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! End-to-end tests of the dispatcher: with a root folder of the test, with folders and images of
//! other programs, and for each exit code. That of a panic is tested in `src/exit.rs`.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

mod codes;
mod machine;
mod network;
mod provision;
mod signed;
mod starting;
mod vm;
