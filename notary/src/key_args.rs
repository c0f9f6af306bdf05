// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Arguments that select the key or identity of a signature.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::path::PathBuf;

use clap::Args;

/// The signing engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Built in, with a key
    Native,
    /// cosign, with a key
    Cosign,
    /// cosign, with an identity
    #[value(name = "cosign:keyless")]
    Keyless,
}

/// The key or identity that signs.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Private key file, instead of XTASK_SIGNING_KEY; with --engine cosign any value of cosign's
    /// --key, such as awskms://…, hashivault://… or pkcs11:…
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Signing engine; cosign must be 3.1 or later
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub(crate) engine: Engine,
    /// With cosign:keyless: signing configuration, as cosign's option of the same name [default:
    /// that of the public Sigstore instance, which cosign fetches]
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    /// trusted_root.json to verify the signatures of an identity with [default: that of the public
    /// Sigstore instance]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}
