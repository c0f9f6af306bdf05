// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One change: its signer, registry and time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, SystemTimeError, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use release::Signer as Identity;
use release::channels::{ChannelRecord, EligibleRelease, Located, Move, RecordMetadata};
use semver::Version;
use signing::PublicKey;
use verify::cli::TrustedSigner;
use verify::{Policy, Published, SeenRecord};

use super::args::ChangeArgs;
use super::journal::{self, Channels};
use super::store::Store;
use crate::date::rfc3339;
use crate::signer::Signer;

const DAY: u64 = 24 * 60 * 60;

/// Clients, records and signers of a change.
pub(super) struct Session {
    pub(super) store: Store,
    /// Signer of the record.
    signer: Signer,
    /// Signer of the releases, if another one signs the record.
    releases: Option<TrustedSigner>,
    policy: Policy,
    product: String,
    by: String,
    /// Seconds until the record is refused.
    lifetime: u64,
    /// Time of the change, in seconds since 1970, where it is given.
    time: Option<u64>,
    /// File with the newest record that was seen, and that record.
    state: Option<(PathBuf, Option<SeenRecord>)>,
    accept_expired: bool,
}

impl Session {
    /// Finds the key. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no key, or one that cannot be opened.
    pub(super) fn open(args: &ChangeArgs) -> Result<Self> {
        let named = args.certificate_identity.clone().zip(args.certificate_oidc_issuer.clone());
        let identity = named.map(|(identity, issuer)| Identity { identity, issuer });
        let signer = Signer::find(&args.keys, identity.as_ref())?.context(
            "changing a channel needs the key that its record is signed with: set XTASK_SIGNING_KEY and \
             COSIGN_PASSWORD_FILE, or give --key FILE",
        )?;
        let read = |Identity { identity, issuer }| {
            TrustedSigner::identity(identity, issuer, args.keys.trusted_root.as_deref())
        };
        let (trusted, releases) = match (signer.public(), identity.map(read).transpose()?) {
            (Some(key), releases) => (TrustedSigner::Key(key), releases),
            (None, Some(identity)) => (identity, None),
            (None, None) => bail!(
                "--engine cosign:keyless needs --certificate-identity NAME and \
                 --certificate-oidc-issuer URL: who signed the release that is verified first"
            ),
        };
        ensure!(
            !trusted.has_version(),
            "an identity with {{version}} signs no records of channels: a key has to sign them, with --engine native \
             or cosign"
        );
        let time = args.time.map(seconds).transpose().context("--time is before 1970")?;
        let product = args.product.clone();
        let policy = Policy {
            builder: args.builder.clone(),
            product: Some(product.clone()),
            ..Policy::default()
        };
        let lifetime = args.lifetime.saturating_mul(DAY);
        let previous = args.previous_key.as_deref().map(public_key).transpose()?;
        let store = Store::new(args.registry.clone(), trusted, previous)?;
        let seen = |path: &PathBuf| {
            let seen = verify::state::seen(path, &args.registry);
            let seen = seen.with_context(|| format!("cannot read the state {}", path.display()))?;
            anyhow::Ok((path.clone(), seen))
        };
        Ok(Self {
            store,
            signer,
            releases,
            policy,
            product,
            by: args.by.clone(),
            lifetime,
            time,
            state: args.state.as_ref().map(seen).transpose()?,
            accept_expired: args.accept_expired,
        })
    }

    /// The time of the change, in seconds since 1970. The clock is read each time: verifying a release can take long,
    /// and the time of a record shows whether its change may be in progress.
    fn now(&self) -> Result<u64> {
        let now = || seconds(SystemTime::now()).context("the clock is before 1970");
        self.time.map_or_else(now, Ok)
    }

    /// Resumes or rolls back an interrupted change.
    ///
    /// # Errors
    /// As [`journal::recover`], or when the newest record may be an old one, is of another product or of a later time.
    pub(super) fn recover(&self) -> Result<Channels> {
        let now = self.now()?;
        let before = journal::recover(&self.store, now, |current| self.check_newest(current, now))?;
        if let Some(other) = before.record().filter(|it| it.product != self.product) {
            bail!(
                "the channels of this registry are of {}, not of {}",
                other.product,
                self.product
            );
        }
        // A record of a wrong clock would be expired from the start.
        if let Some(newest) = before.record().filter(|it| it.time > now) {
            bail!(
                "record {} of the channels is of {}, which is later than {}; nothing was changed. Set the clock, \
                 such as with `timedatectl set-ntp true`, or give another --time",
                newest.number,
                rfc3339(newest.time),
                rfc3339(now)
            );
        }
        if let Some(current) = &before.current {
            self.remember(current.into())?;
        }
        Ok(before)
    }

    /// Refuses a record that may not be the newest one: what it states would be signed again, with a new number and
    /// expiry.
    fn check_newest(&self, current: Option<&Located>, now: u64) -> Result<()> {
        let seen = self.state.as_ref().and_then(|it| it.1.as_ref());
        match (seen, current) {
            (Some(seen), Some(current)) => self.store.check_descent(current, seen),
            (Some(seen), None) => bail!(
                "the registry has no record of channels, but record {} was seen before",
                seen.number
            ),
            (None, Some(Located { record, .. })) => {
                ensure!(
                    now < record.expires || self.accept_expired,
                    "record {} of the channels expired {}, so the registry may serve an old one; fix: give --state \
                     FILE of a client that follows them, or compare `notary channels` with the last known channels \
                     and give --accept-expired",
                    record.number,
                    rfc3339(record.expires)
                );
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    fn remember(&self, record: SeenRecord) -> Result<()> {
        let Some((path, _)) = &self.state else { return Ok(()) };
        verify::state::remember(path, &self.store.namespace, record)
            .with_context(|| format!("cannot write the state {}", path.display()))
    }

    /// The release `version`, verified in the registry.
    ///
    /// # Errors
    /// When it does not exist or is not verified.
    pub(super) fn verify_release(&self, version: &Version) -> Result<EligibleRelease> {
        let namespace = self.store.namespace.clone();
        let published = Published::new(namespace, &version.to_string())?;
        let trust = self.releases.as_ref().unwrap_or(&self.store.trusted).trust();
        let (report, found) = verify::check_release(&published, trust, &self.policy)?;
        let Some(found) = found else {
            bail!("{version} is not verified, and no tag was moved:\n{report}");
        };
        Ok(EligibleRelease::new(&found.manifest, found.digest)?)
    }

    /// The record after the newest one, without a change yet.
    ///
    /// # Errors
    /// When the clock is before 1970.
    pub(super) fn next(&self, before: &Channels) -> Result<ChannelRecord> {
        let (current, abandoned) = (before.current.as_ref(), before.abandoned);
        let metadata =
            RecordMetadata { by: self.by.clone(), time: self.now()?, lifetime: self.lifetime };
        Ok(ChannelRecord::next(&self.product, current, abandoned, &metadata))
    }

    /// Moves the tags and makes `record` the newest one.
    ///
    /// # Errors
    /// As [`journal::commit`], or when the state cannot be written.
    pub(super) fn commit(
        &self,
        before: &Channels,
        record: &ChannelRecord,
        moves: Vec<Move>,
    ) -> Result<()> {
        let record = ChannelRecord { moves, ..record.clone() };
        let digest = journal::commit(&self.store, &self.signer, before, &record)?;
        self.remember(SeenRecord { number: record.number, digest }).context("the change was made")
    }
}

fn seconds(time: SystemTime) -> Result<u64, SystemTimeError> {
    Ok(time.duration_since(UNIX_EPOCH)?.as_secs())
}

fn public_key(path: &Path) -> Result<PublicKey> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the public key {}", path.display()))?;
    PublicKey::from_pem(&text).with_context(|| path.display().to_string())
}
