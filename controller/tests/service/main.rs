// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The service, tested with clients. One test binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod access;
mod api;
mod audit;
mod bmcs;
mod clients;
mod collection;
mod command;
mod config;
mod conformance;
mod crash;
mod dashboard;
mod deletion;
mod disk_full;
mod document;
mod errors;
mod hostile;
mod jobs;
mod kill;
mod large;
mod listeners;
mod lists;
mod logs;
mod manifests;
mod media;
mod nginx;
mod operations;
mod packaging;
mod pull;
mod push;
mod raw;
mod schedule;
mod secure;
mod sending;
mod shutdown;
mod stored;
mod support;
mod verify_release;
