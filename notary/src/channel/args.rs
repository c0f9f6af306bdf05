// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Arguments of the commands about channels.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::path::PathBuf;
use std::time::SystemTime;

use oci::Namespace;
use release::channels::ChannelName;
use semver::Version;
use verify::cli::{PRODUCT, TrustedSignerArgs};

use crate::key_args::KeyArgs;

/// Lifetime of a record in days.
const LIFETIME_DAYS: u64 = 30;
/// Maximum length of a name or reason in a record, in bytes.
const TEXT_LIMIT: usize = 500;

/// Arguments of `channels`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Registry and prefix of the repositories; http://HOST… without TLS
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    pub(super) registry: Namespace,
    #[command(flatten)]
    pub(super) by: TrustedSignerArgs,
    /// Every record, the newest first
    #[arg(long)]
    pub(super) history: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `promote`.
#[derive(Debug, clap::Args)]
pub(crate) struct PromoteArgs {
    /// Version of the release, such as 1.4.0
    #[arg(value_parser = version)]
    pub(super) version: Version,
    /// Channel: candidate, stable, latest, edge, or X.Y. stable and latest move together, with X.Y
    #[arg(long, value_name = "CHANNEL")]
    pub(super) to: ChannelName,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Channel: candidate, stable, latest, edge, or X.Y. stable and latest move together
    pub(super) channel: ChannelName,
    /// Version to go back to [default: the release that the channel had before]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(super) to: Option<Version>,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

/// Arguments of `yank`.
#[derive(Debug, clap::Args)]
pub(crate) struct YankArgs {
    /// Version of the release, such as 1.4.0
    #[arg(value_parser = version)]
    pub(super) version: Version,
    /// Reason for the withdrawal
    #[arg(long, value_name = "TEXT", value_parser = line)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

/// Arguments of all changes, and all of `refresh-channels`.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Registry and prefix of the repositories; http://HOST… without TLS
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    pub(super) registry: Namespace,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Identity that signed the release: the whole e-mail address or URI, where {version} is the version
    /// of the release. The key signs the record; with cosign:keyless, this identity does
    #[arg(long, value_name = "NAME", requires = "certificate_oidc_issuer")]
    pub(super) certificate_identity: Option<String>,
    /// The whole URL of the issuer of that identity
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub(super) certificate_oidc_issuer: Option<String>,
    /// Public key that the newest record is signed with, after a change of the key
    #[arg(long, value_name = "FILE")]
    pub(super) previous_key: Option<PathBuf>,
    /// builder.id that the provenance of the release must name; {version} is its version [default: the
    /// local build]
    #[arg(long, value_name = "URI")]
    pub(super) builder: Option<String>,
    /// Product that release.json must name
    #[arg(long, value_name = "NAME", default_value = PRODUCT)]
    pub(super) product: String,
    /// File with the newest record of channels that was seen, as for `notary verify`: a record that was not made from
    /// it is not signed again
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Change channels whose newest record has expired, without a --state: compare it first
    #[arg(long)]
    pub(super) accept_expired: bool,
    /// Who makes the change, for the record
    #[arg(long, value_name = "NAME", value_parser = line)]
    pub(super) by: String,
    /// Time of the change (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    pub(super) time: Option<SystemTime>,
    /// Days until the record is refused, unless it is refreshed
    #[arg(long, value_name = "DAYS", default_value_t = LIFETIME_DAYS,
          value_parser = clap::value_parser!(u64).range(1..=366))]
    pub(super) lifetime: u64,
}

/// A version, with or without a leading `v`.
pub(crate) fn version(text: &str) -> Result<Version, String> {
    let plain = text.strip_prefix('v').unwrap_or(text);
    plain.parse().map_err(|e| format!("{e}; expected a version such as 1.4.0 or 1.4.0-rc.1"))
}

/// A line of text for a record.
pub(crate) fn line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > TEXT_LIMIT || text.chars().any(char::is_control) {
        return Err(format!("expected one line of at most {TEXT_LIMIT} bytes"));
    }
    Ok(text.to_owned())
}
