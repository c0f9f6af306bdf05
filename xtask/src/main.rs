// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The build and release system of the provisioner.
#![forbid(unsafe_code)]

mod finding;
mod graph;
mod ops;
mod run;
mod steps;
mod tool;
mod ui;
mod workspace;

fn main() {}
