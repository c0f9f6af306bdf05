// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signatures in cosign's formats, created and verified offline.
//!
//! - [`trust`]: the expected signer, a key or an identity with a [`trusted_root`]
//! - [`key`]: signs and verifies digests
//! - [`keyfile`]: encrypted private key files of cosign
//! - [`statement`], [`slsa`]: in-toto statements and SLSA provenance
//! - [`dsse`]: signed envelopes
//! - [`bundle`]: Sigstore bundles, of files and of statements
//! - [`simple_signing`]: cosign's format before bundles
//!
//! This crate does no I/O.
#![forbid(unsafe_code)]

pub mod bundle;
mod certificate;
pub mod dsse;
mod encoding;
pub mod key;
pub mod keyfile;
mod log;
pub mod simple_signing;
pub mod slsa;
pub mod statement;
pub mod trust;
pub mod trusted_root;

pub use bundle::{Bundle, BundleError};
pub use certificate::CertificateError;
pub use key::{KeyError, PrivateKey, PublicKey, Sha256, sha256, sha256_from_hex};
pub use log::LogError;
pub use statement::{Statement, Subject};
pub use trust::{Identity, Trust};
pub use trusted_root::{TrustedRoot, TrustedRootError};
