// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verification as a command, shared by `notary verify` and `controller verify-release`.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use oci::Namespace;
use release::Channel;
use release::channels::ChannelName;
use signing::{Identity, KeyError, PublicKey, Trust, TrustedRoot, TrustedRootError};

use crate::required::VERSION;
use crate::{Policy, Published, Rebuilds, Report, Signers, VerifyError, state};

/// Exit code if nothing could be checked, the same as for a usage error.
const UNCHECKED: u8 = 2;

/// The exit codes, for help texts.
pub const EXIT_CODES: &str = "\
Exit codes: 0 VERIFIED, 1 REJECTED, 2 nothing could be checked: a mistake on the command line, no such \
folder, a registry that refuses.";

/// Arguments of the verification.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: LocationArgs,
    #[command(flatten)]
    by: TrustedSignerArgs,
    /// builder.id that the provenance must name; {version} is the version of the release [default: the
    /// local build, SOURCE/builders/local/v1]
    #[arg(long, value_name = "URI")]
    builder: Option<String>,
    #[command(flatten)]
    what: ReleaseArgs,
    #[command(flatten)]
    rebuilds: RebuildArgs,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Required rebuild attestations.
#[derive(Debug, clap::Args)]
struct RebuildArgs {
    /// Require that K different keys of --rebuild-key attest a rebuild with the same bytes
    #[arg(long, value_name = "K", requires = "rebuild_key")]
    rebuilds: Option<NonZeroUsize>,
    /// File with the public key of a rebuilder; repeatable
    #[arg(long, value_name = "FILE", requires = "rebuilds")]
    rebuild_key: Vec<PathBuf>,
}

impl RebuildArgs {
    /// Reads the keys.
    fn read(&self) -> Result<Rebuilds, CliError> {
        let required = self.rebuilds.map_or(0, NonZeroUsize::get);
        let keys: Vec<_> =
            self.rebuild_key.iter().map(|path| public_key(path)).collect::<Result<_, _>>()?;
        let different: BTreeSet<_> = keys.iter().map(PublicKey::hint).collect();
        if different.len() < required {
            return Err(CliError::Usage(format!(
                "--rebuilds {required} needs as many different keys, --rebuild-key has {}",
                different.len()
            )));
        }
        Ok(Rebuilds { required, keys })
    }
}

/// The product of this program, `[product] name` of `release.toml`.
pub const PRODUCT: &str = "provisioner";

/// The requested release.
#[derive(Debug, clap::Args)]
struct ReleaseArgs {
    /// Product that release.json must name
    #[arg(long, value_name = "NAME", default_value = PRODUCT)]
    product: String,
    /// Version that release.json of a folder must name; --registry names its own [default: any]
    #[arg(long, value_name = "VERSION", conflicts_with = "registry")]
    release_version: Option<String>,
    /// Channel that release.json must name: stable, candidate or snapshot [default: that of the
    /// version]; with --state, the channel to follow: candidate, stable, latest, edge or X.Y
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Verify the release that --channel of --registry HOST/PREFIX points to. FILE holds the newest record of
    /// channels that was seen: an expired one, or one that was not made from it, is refused
    #[arg(
        long,
        value_name = "FILE",
        requires = "channel",
        requires = "registry",
        conflicts_with = "release"
    )]
    state: Option<PathBuf>,
}

/// The trusted signer.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct TrustedSignerArgs {
    /// File with the public key; with --certificate-identity, that of the records of channels alone
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Identity of the signer: the whole e-mail address or URI in the certificates; {version} in it is the
    /// version of the release
    #[arg(long, value_name = "NAME", requires = "certificate_oidc_issuer", value_parser = NonEmptyStringValueParser::new())]
    certificate_identity: Option<String>,
    /// Whole URL of the issuer of that identity
    #[arg(long, value_name = "URL", requires = "certificate_identity", value_parser = NonEmptyStringValueParser::new())]
    certificate_oidc_issuer: Option<String>,
    /// Trusted root for identities: a trusted_root.json [default: Sigstore's public service, as
    /// built in]
    #[arg(long, value_name = "FILE", requires = "certificate_identity")]
    trusted_root: Option<PathBuf>,
}

/// A [`Trust`] that owns what it refers to.
#[derive(Debug)]
pub enum TrustedSigner {
    /// A public key.
    Key(PublicKey),
    /// An identity.
    Identity(Identity),
}

impl TrustedSigner {
    /// An identity, with the trusted root in the file `root`, else the one that is built in.
    ///
    /// # Errors
    /// When the file is not readable or no trusted root.
    pub fn identity(
        subject: String,
        issuer: String,
        root: Option<&Path>,
    ) -> Result<Self, CliError> {
        let root = trusted_root(root)?;
        Ok(Self::Identity(Identity { subject, issuer, root }))
    }

    /// Whether it signs releases alone, each as another identity.
    pub fn has_version(&self) -> bool {
        matches!(self, Self::Identity(it) if it.subject.contains(VERSION))
    }

    /// The key or identity that signatures are verified with.
    pub fn trust(&self) -> Trust<'_> {
        match self {
            Self::Key(key) => Trust::Key(key),
            Self::Identity(identity) => Trust::Identity(identity),
        }
    }
}

impl TrustedSignerArgs {
    /// Reads the signer of records: the key, else the identity.
    ///
    /// # Errors
    /// When a file is not readable or malformed.
    pub fn records(&self) -> Result<TrustedSigner, CliError> {
        match &self.key {
            Some(path) => public_key(path).map(TrustedSigner::Key),
            None => self.identity()?.ok_or(CliError::NoSigner),
        }
    }

    /// Reads the identity, if one is given.
    fn identity(&self) -> Result<Option<TrustedSigner>, CliError> {
        let Self { key: _, certificate_identity, certificate_oidc_issuer, trusted_root } = self;
        let named = certificate_identity.clone().zip(certificate_oidc_issuer.clone());
        let read =
            |(subject, issuer)| TrustedSigner::identity(subject, issuer, trusted_root.as_deref());
        named.map(read).transpose()
    }
}

/// Location of the release.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct LocationArgs {
    /// Folder with release.json
    #[arg(long, value_name = "DIR")]
    release: Option<PathBuf>,
    /// Registry, prefix of the repositories, and version, or no version with --state; http://HOST… for a
    /// registry without TLS
    #[arg(long, value_name = "HOST/PREFIX:VERSION")]
    registry: Option<String>,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("cannot write the state {}: {source}", path.display())]
    State { path: PathBuf, source: std::io::Error },
    #[error("cannot read the {what} {}: {source}", path.display())]
    Read { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Root { path: PathBuf, source: TrustedRootError },
    #[error("give --key FILE, or --certificate-identity NAME and --certificate-oidc-issuer URL")]
    NoSigner,
    #[error("{}: {source}", path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Output(#[from] std::io::Error),
    #[error("give --release DIR or --registry HOST/PREFIX:VERSION")]
    NoLocation,
}

impl Args {
    /// Verifies the release and prints the report; the exit code is the verdict.
    pub fn run(&self) -> ExitCode {
        match self.verify() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {}", escape::text(&error.to_string()));
                ExitCode::from(UNCHECKED)
            }
        }
    }

    fn verify(&self) -> Result<bool, CliError> {
        let report = self.report()?;
        if self.json {
            escape::print_line(escape::json(&serde_json::to_string_pretty(&report)?))?;
        } else {
            escape::print_line(&report)?;
        }
        Ok(report.is_verified())
    }

    fn report(&self) -> Result<Report, CliError> {
        let (records, identity) = (self.by.records()?, self.by.identity()?);
        let releases = identity.as_ref().unwrap_or(&records).trust();
        let signers = Signers { releases, records: records.trust() };
        let ReleaseArgs { product, release_version, channel, state } = &self.what;
        let plain = |version: &String| version.strip_prefix('v').unwrap_or(version).to_owned();
        let mut policy = Policy {
            builder: self.builder.clone(),
            product: Some(product.clone()),
            version: release_version.as_ref().map(plain),
            channel: None,
            rebuilds: self.rebuilds.read()?,
        };
        if let (Some(state), Some(place), Some(channel)) = (state, &self.from.registry, channel) {
            if records.has_version() {
                return Err(CliError::Usage(format!(
                    "an identity with {VERSION} signs no records of channels: give their public key too, with --key"
                )));
            }
            return follow(state, place, channel, signers, &policy);
        }
        let kind = |it: &String| it.parse::<Channel>().map_err(CliError::Usage);
        policy.channel = channel.as_ref().map(kind).transpose()?;
        Ok(match (&self.from.release, &self.from.registry) {
            (Some(folder), _) => crate::folder(folder, releases, &policy)?,
            (None, Some(place)) => {
                let published: Published = place.parse().map_err(CliError::Usage)?;
                crate::registry(&published, signers, &policy)?
            }
            // clap requires one of them.
            (None, None) => return Err(CliError::NoLocation),
        })
    }
}

/// Verifies the release that the channel `name` of the registry `place` points to, and remembers the record.
fn follow(
    path: &Path,
    place: &str,
    name: &str,
    signers: Signers<'_>,
    policy: &Policy,
) -> Result<Report, CliError> {
    let name: ChannelName = name.parse().map_err(CliError::Usage)?;
    let namespace: Namespace = place.parse().map_err(|e| {
        CliError::Usage(format!("{e}; with --state, --registry is HOST[:PORT][/PREFIX]"))
    })?;
    let state_error = |source| CliError::Read { what: "state", path: path.to_owned(), source };
    let seen = state::seen(path, &namespace).map_err(state_error)?;
    let followed = crate::channel(&namespace, name, seen.as_ref(), crate::now(), signers, policy)?;
    if let Some(record) = followed.seen {
        state::remember(path, &namespace, record)
            .map_err(|source| CliError::State { path: path.to_owned(), source })?;
    }
    Ok(followed.report)
}

/// The trusted root in the file at `path`, else the built-in one.
fn trusted_root(path: Option<&Path>) -> Result<TrustedRoot, CliError> {
    let (root, path) = match path {
        Some(path) => (TrustedRoot::parse(&read("trusted root", path)?), path),
        None => (TrustedRoot::public_good(), Path::new("built-in trusted root")),
    };
    root.map_err(|source| CliError::Root { path: path.to_owned(), source })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|source| CliError::Read { what, path: path.to_owned(), source })
}

fn public_key(path: &Path) -> Result<PublicKey, CliError> {
    let text = read("public key", path)?;
    let text = String::from_utf8_lossy(&text);
    PublicKey::from_pem(&text).map_err(|source| CliError::Key { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_one_of_release_toml() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release.toml");
        let document: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let name =
            document.get("product").and_then(|it| it.get("name")).and_then(toml::Value::as_str);
        assert_eq!(name, Some(PRODUCT));
    }
}
