// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verification as a command: what `notary verify` and `controller verify-release` both are.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sigstore::{KeyError, PublicKey};

use crate::{Policy, Published, Report, VerifyError};

/// The exit code when nothing could be checked, the same as for a mistake on the command line.
const UNCHECKED: u8 = 2;

/// The exit codes, for the end of a help text.
pub const EXIT_CODES: &str = "\
Exit codes: 0 VERIFIED, 1 REJECTED, 2 nothing could be checked: a mistake on the command line, no such \
folder, a registry that refuses.";

/// What to verify, and with what.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// File with the public key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// `builder.id` that the provenance must name [default: the build on a person's machine,
    /// SOURCE/builders/local/v1].
    #[arg(long, value_name = "URI")]
    builder: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Where the release is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Folder with release.json.
    #[arg(long, value_name = "DIR")]
    release: Option<PathBuf>,
    /// Registry, prefix of the repositories, and version; http://HOST… for a registry without TLS.
    #[arg(long, value_name = "HOST/PREFIX:VERSION")]
    registry: Option<Published>,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum Unchecked {
    #[error("cannot read the public key {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("give --release DIR or --registry HOST/PREFIX:VERSION")]
    Nowhere,
}

impl Args {
    /// Verifies and prints the report; the exit code is the verdict.
    pub fn run(&self) -> ExitCode {
        match self.verified() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(UNCHECKED)
            }
        }
    }

    fn verified(&self) -> Result<bool, Unchecked> {
        let report = self.report()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(report.is_verified())
    }

    fn report(&self) -> Result<Report, Unchecked> {
        let key = public_key(&self.key)?;
        let policy = Policy { builder: self.builder.clone() };
        Ok(match (&self.from.release, &self.from.registry) {
            (Some(folder), _) => crate::folder(folder, &key, &policy)?,
            (None, Some(published)) => crate::registry(published, &key, &policy)?,
            // clap asks for one of them.
            (None, None) => return Err(Unchecked::Nowhere),
        })
    }
}

fn public_key(path: &Path) -> Result<PublicKey, Unchecked> {
    let text = fs::read_to_string(path)
        .map_err(|source| Unchecked::Read { path: path.to_owned(), source })?;
    PublicKey::from_pem(&text).map_err(|source| Unchecked::Key { path: path.to_owned(), source })
}
