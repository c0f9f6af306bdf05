// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A Sigstore that is made up: an authority for identities, a log of certificates and one of signatures.
//!
//! [`Sigstore`] makes certificates, promises and bundles itself. [`Service`] answers what a client asks the
//! real ones: for a token, for a certificate (Fulcio), and for an entry of the log (Rekor). [`oracle`] has the verdict
//! of another implementation on a bundle.
//!
//! Only tests depend on this crate, so it fails as tests do: with a panic that says why.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test has no better way to say that something is wrong"
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
