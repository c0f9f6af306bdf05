// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Who a signature may be of: a key, or an identity that an authority vouched for at the time.

use crate::key::PublicKey;
use crate::trusted_root::TrustedRoot;

/// What signatures are held against.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// A public key.
    Key(&'a PublicKey),
    /// Somebody who proved who they are when they signed ("keyless").
    Identity(&'a Identity),
}

/// Somebody, by what a certificate of Fulcio says of them, and whom to believe that.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The whole subject alternative name: an e-mail address, or the URI of a workflow.
    pub subject: String,
    /// The whole URL of the service that knows the subject (`OpenID` Connect).
    pub issuer: String,
    /// Authorities and logs that are believed.
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
