// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The provisioner service: API, webhook, Redfish, media and OCI registry.
//!
//! A library, so that integration tests can run the service in their own process.
#![forbid(unsafe_code)]

mod admission;
pub mod api;
mod audit;
mod blocking;
pub mod cli;
mod client_certificate;
pub mod config;
mod dashboard;
pub mod database;
mod durable;
mod file_service;
pub mod hardware;
mod health;
pub mod inventory;
pub mod jobs;
pub mod keyring;
pub mod labels;
mod limits;
mod linger;
mod logging;
mod logins;
pub mod media;
mod metrics;
mod open;
pub mod operations;
mod passwords;
mod progress;
pub mod registry;
mod same_origin;
mod secret;
pub mod serve;
mod tls;
mod words;

/// Entry points for the targets in `fuzz/`: parsers of untrusted input that are not public
/// otherwise.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::file_service::ranges;
}
