// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The engines that sign: our own, and cosign. Both write the same bundles.

use std::path::Path;

use anyhow::{Context as _, Result};
use sigstore::{Bundle, PrivateKey, PublicKey, Sha256, Statement, simple_signing};

use crate::cli::{Engine, SigningArgs};
use crate::cosign::Cosign;
use crate::key;

/// A key, and what signs with it.
pub(crate) enum Signer {
    /// The key in memory.
    Native(PrivateKey),
    /// The program, which has the key in a file, an HSM or a KMS.
    Cosign(Cosign),
}

impl Signer {
    /// The signer with the key of the arguments, else of the environment; none where neither names one.
    pub(crate) fn find(args: &SigningArgs) -> Result<Option<Self>> {
        Ok(match args.engine {
            Engine::Native => key::find(args.key.as_deref())?.map(Self::Native),
            Engine::Cosign => {
                key::reference(args.key.as_deref()).map(Cosign::open).transpose()?.map(Self::Cosign)
            }
        })
    }

    /// The half of the key that verifies.
    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Native(key) => key.public(),
            Self::Cosign(cosign) => cosign.public().clone(),
        }
    }

    /// Signs the file at `path`, whose digest is known.
    pub(crate) fn sign_file(&self, path: &Path, digest: &Sha256) -> Result<Bundle> {
        match self {
            Self::Native(key) => Ok(Bundle::sign_file(key, digest)?),
            Self::Cosign(cosign) => cosign.sign_file(path, digest),
        }
    }

    /// Signs a statement.
    pub(crate) fn sign_statement(&self, statement: &Statement) -> Result<Bundle> {
        match self {
            Self::Native(key) => Ok(Bundle::sign_statement(key, statement)?),
            Self::Cosign(cosign) => cosign.sign_statement(statement),
        }
    }

    /// Signs what cosign signed of an image before bundles; the result is base64.
    pub(crate) fn sign_payload(&self, payload: &[u8]) -> Result<String> {
        match self {
            Self::Native(key) => Ok(simple_signing::sign(key, payload)?),
            Self::Cosign(cosign) => cosign
                .sign_bytes(payload)?
                .file_signature()
                .context("cosign wrote a bundle without a signature"),
        }
    }
}
