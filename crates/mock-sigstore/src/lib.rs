// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A mock Sigstore: a CA, a CT log and a signature log.
//!
//! [`Sigstore`] creates certificates, SCTs and bundles directly. [`Service`] serves the HTTP APIs
//! of an OIDC issuer, Fulcio and Rekor. [`oracle`] verifies a bundle with another implementation.
//!
//! Only tests depend on this crate, so it panics on errors.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test has no better way to report that something is wrong"
)]

mod authority;
mod log;
pub mod oracle;
mod service;
mod text;

pub use authority::{ISSUER, SUBJECT, Signer, Sigstore, TIME, USAGE};
pub use rcgen::ExtendedKeyUsagePurpose as Usage;
pub use service::Service;
pub use text::base64;
