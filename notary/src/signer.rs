// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signing engines: native and cosign. Both write the same bundles.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use release::Signer as Identity;
use signing::{Bundle, PrivateKey, PublicKey, Sha256, Statement, simple_signing};

use crate::cosign::Cosign;
use crate::key;
use crate::key_args::{Engine, KeyArgs};

/// A key or an identity, with the engine that signs.
pub(crate) enum Signer {
    /// Native, with a key in memory.
    Native(PrivateKey),
    /// cosign, with a key in a file, an HSM or a KMS, or as an identity.
    Cosign(Cosign),
}

/// A signature in cosign's older format.
pub(crate) enum PayloadSignature {
    /// Signature of a key, in base64.
    Key(String),
    /// Bundle of an identity.
    Identity(Box<Bundle>),
}

impl Signer {
    /// Creates the signer from the arguments and the environment; `None` without a key. A keyless
    /// signer must be the identity `signed`, if given; a key can sign beside it.
    pub(crate) fn find(args: &KeyArgs, signed: Option<&Identity>) -> Result<Option<Self>> {
        let keyless = args.engine == Engine::Keyless;
        ensure!(
            keyless || args.signing_config.is_none(),
            "--signing-config is for --engine cosign:keyless"
        );
        ensure!(
            keyless || signed.is_some() || args.trusted_root.is_none(),
            "--trusted-root is for an identity: --engine cosign:keyless, or --certificate-identity"
        );
        ensure!(!keyless || args.key.is_none(), "--engine cosign:keyless takes no --key");
        Ok(match args.engine {
            Engine::Native => key::find(args.key.as_deref())?.map(Self::Native),
            Engine::Cosign => {
                key::reference(args.key.as_deref()).map(Cosign::open).transpose()?.map(Self::Cosign)
            }
            Engine::Keyless => {
                let (config, root) = (args.signing_config.as_deref(), args.trusted_root.as_deref());
                Some(Self::Cosign(Cosign::keyless(signed, config, root)?))
            }
        })
    }

    /// The public key; `None` for an identity.
    pub(crate) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Native(key) => Some(key.public()),
            Self::Cosign(cosign) => cosign.public().cloned(),
        }
    }

    /// The identity; `None` for a key, or before the first signature.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Native(_) => None,
            Self::Cosign(cosign) => cosign.signer(),
        }
    }

    /// Signs the file at `path` with the SHA-256 `digest`.
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

    /// Signs a payload in cosign's older image signature format.
    pub(crate) fn sign_payload(&self, payload: &[u8]) -> Result<PayloadSignature> {
        let cosign = match self {
            Self::Native(key) => {
                return Ok(PayloadSignature::Key(simple_signing::sign(key, payload)?));
            }
            Self::Cosign(cosign) => cosign,
        };
        let bundle = cosign.sign_bytes(payload)?;
        if cosign.public().is_none() {
            return Ok(PayloadSignature::Identity(Box::new(bundle)));
        }
        let signature = bundle.file_signature();
        signature.map(PayloadSignature::Key).context("cosign wrote a bundle without a signature")
    }
}
