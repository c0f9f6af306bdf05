// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signatures as cosign makes and reads them, checked without a network.
//!
//! [`trust`] says whom to believe: a key, or an identity with a [`trusted_root`]. [`key`] signs and verifies
//! digests, [`keyfile`] keeps private keys in cosign's encrypted form, [`statement`] and [`slsa`] say
//! something about a content, [`dsse`] signs what was said, [`bundle`] holds a signature of either kind, and
//! [`simple_signing`] is what cosign wrote before bundles.
//! Nothing here touches a file: callers read and write.
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
