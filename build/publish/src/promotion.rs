// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Points the channel to the published release.

use anyhow::Result;
use engine::{Description, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::command::Command;
use foundation::git;
use programs::notary::{self, Engine, Key};
use programs::target::{self, Target};
use release::{Channel, Signer, layout};

use crate::verify::TrustedSigner;

/// The step of `ci main` and `ci release` after `publish`.
pub struct Promotion;

/// Tags of stable releases.
const RELEASES: &str = "v[0-9]*.[0-9]*.[0-9]*";

impl Step for Promotion {
    fn describe(&self) -> Description {
        Description::step(
            "promote",
            "point edge, candidate, or stable and its minor line to the published release",
        )
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        notary::needs_for_signing(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let (key, engine) = Key::for_records(run)?;
        let Some(target) = target::find_target(run)? else { return Ok(Plan::new()) };
        if explain_unsuitable(&key, &TrustedSigner::from_run(run)).is_some() {
            return Ok(Plan::new());
        }
        Ok(notary::plan(run).command(promote(run, &target, &key, engine)?))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let (key, _) = Key::for_records(run)?;
        let skip = |why: &str| Ok(Outcome::Skipped(Skip::NotApplicable { why: why.to_owned() }));
        if target::find_target(run)?.is_none() {
            return skip("the release is in the local registry alone");
        }
        if let Some(why) = explain_unsuitable(&key, &TrustedSigner::from_run(run)) {
            return skip(why);
        }
        run.execute(log, &self.plan(run)?)?;
        let channel = channel(run)?;
        Ok(Outcome::Done(format!("{channel} -> {}", run.version().text())))
    }
}

/// Why the key, or else the signer of the release, cannot sign channel records: all of them need the same.
fn explain_unsuitable(key: &Key, by: &TrustedSigner) -> Option<&'static str> {
    match (key, by) {
        (Key::ThrowAway(_), _) => Some("the release is signed with a throw-away key"),
        // GitHub's identity of a workflow ends with the ref that it runs for.
        (Key::Keyless, TrustedSigner::Identity(Signer { identity, .. }))
            if identity.contains("@refs/tags/") =>
        {
            Some(
                "the release is signed by an identity of its tag alone, and XTASK_SIGNING_KEY names no key for the \
                 records of channels: see docs/how-to/pipelines.md",
            )
        }
        _ => None,
    }
}

/// `notary promote` to the channel of this release.
fn promote(run: &Run, target: &Target, key: &Key, engine: Engine) -> Result<Command> {
    let call = notary::call(run, "promote").args([run.version().text(), "--to", &channel(run)?]);
    let call = key.sign(engine, call).args([
        "--by",
        BY,
        "--product",
        &run.workspace.product().product.name,
        "--registry",
        &target.namespace.with_scheme(),
    ]);
    let call = match TrustedSigner::from_run(run) {
        TrustedSigner::Key(_) => call,
        TrustedSigner::Identity(signer) => key.add_identity(call, &signer.identity, &signer.issuer),
    };
    Ok(target.add_access(notary::add_builder(call)))
}

/// The author of records that a pipeline signs.
pub(crate) const BY: &str = "cargo xtask ci";

/// The channel of this release. A patch of an older line than the newest stable tag goes to `X.Y` alone.
pub(crate) fn channel(run: &Run) -> Result<String> {
    let version = run.version();
    Ok(match version.channel() {
        Channel::Snapshot => "edge".to_owned(),
        Channel::Candidate => "candidate".to_owned(),
        Channel::Stable => channel_of(version.text(), &git::tags(run.workspace.root(), RELEASES)?),
    })
}

fn channel_of(version: &str, tags: &[String]) -> String {
    let own = layout::tag(version);
    let all = tags.iter().map(String::as_str).chain([own.as_str()]);
    match version.rsplit_once('.') {
        Some((line, _)) if changes::newest_stable(all) != Some(&own) => line.to_owned(),
        _ => "stable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_patch_of_an_older_line_goes_to_its_line_alone() {
        let tags = ["v1.4.0", "v1.10.0-rc.1", "v1.9.0", "vnext"].map(str::to_owned);
        for (version, channel) in
            [("1.4.1", "1.4"), ("1.9.0", "stable"), ("1.9.1", "stable"), ("1.10.0", "stable")]
        {
            assert_eq!(channel_of(version, &tags), channel, "{version}");
        }
        assert_eq!(channel_of("1.0.0", &[]), "stable");
    }

    #[test]
    fn a_signer_of_one_release_signs_no_record() {
        let identity = |identity: &str| {
            TrustedSigner::Identity(Signer {
                identity: identity.to_owned(),
                issuer: "x".to_owned(),
            })
        };
        let key = || TrustedSigner::Key(PathBuf::from("cosign.pub"));
        assert!(explain_unsuitable(&Key::ThrowAway(PathBuf::new()), &key()).is_some());
        assert!(
            explain_unsuitable(&Key::Keyless, &identity("https://x/y.yml@refs/tags/v1")).is_some()
        );
        assert!(
            explain_unsuitable(&Key::Keyless, &identity("https://x/y.yml@refs/heads/main"))
                .is_none()
        );
        assert!(explain_unsuitable(&Key::Environment, &key()).is_none());
        // The key signs the record, the identity signed the release.
        assert!(
            explain_unsuitable(&Key::Environment, &identity("https://x/y.yml@refs/tags/v1"))
                .is_none()
        );
    }
}
