// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The expected signer of a signature: a key, or an identity that a CA certified at the signing
//! time.

use crate::key::PublicKey;
use crate::trusted_root::TrustedRoot;

/// The expected signer.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// A public key.
    Key(&'a PublicKey),
    /// An identity that authenticated when it signed ("keyless").
    Identity(&'a Identity),
}

/// An identity as in Fulcio certificates, and the trusted root to verify them with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The complete subject alternative name: an e-mail address, or the URI of a workflow.
    pub subject: String,
    /// The complete URL of the `OpenID` Connect issuer.
    pub issuer: String,
    /// Trusted CAs and logs.
    pub root: TrustedRoot,
}

impl<'a> From<&'a PublicKey> for Trust<'a> {
    fn from(key: &'a PublicKey) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a Identity> for Trust<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self::Identity(identity)
    }
}
