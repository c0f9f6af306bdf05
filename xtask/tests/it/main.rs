// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Integration tests: run `xtask` in small workspaces made for each test.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod build_units;
mod common;
mod determinism;
mod documentation;
mod faults;
mod gates;
mod history;
mod image_builder;
mod keyless;
mod maintenance;
mod merge;
mod output;
mod packages;
mod plans;
mod setup;
mod signing_key;
mod skips;
mod stop;
mod unchanged;
mod violations;
mod workflows;
