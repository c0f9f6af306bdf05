// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The dispatcher as it is run: below a root of the test's own, from folders, from images that are
//! not of our making, and to each of its exit codes. That of a panic has its test in `src/exit.rs`.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

mod codes;
mod hand_over;
mod machine;
mod signed;
mod starting;
mod vm;
