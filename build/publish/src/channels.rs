// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask channels`, `promote`, `rollback`, `yank` and `retention`: calls of `notary` for a registry of
//! `release.toml`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgMatches, Args as _, FromArgMatches as _};
use engine::{Run, absolute};
use foundation::command::Command;
use programs::notary::{self, Key};

use crate::pages;
use crate::registry_arguments::RegistryArguments;
use crate::retention::RetentionArguments;

/// A command.
pub struct ChannelCommand {
    /// Its name.
    pub name: &'static str,
    /// First line of its help text.
    pub about: &'static str,
    /// Arguments of its example.
    pub example: &'static str,
    augment: fn(clap::Command) -> clap::Command,
    read: fn(&ArgMatches) -> Result<Arguments, clap::Error>,
}

/// All commands.
pub const COMMANDS: [ChannelCommand; 5] = [
    ChannelCommand {
        name: "channels",
        about: "Show where the channels of a registry point, since when and by whom",
        example: "--registry production --key cosign.pub",
        augment: ChannelsArguments::augment_args,
        read: |given| ChannelsArguments::from_arg_matches(given).map(Arguments::Channels),
    },
    ChannelCommand {
        name: "promote",
        about: "Point a channel to a release that is in the registry",
        example: "1.4.0 --to stable --registry production --by me@example",
        augment: PromoteArguments::augment_args,
        read: |given| PromoteArguments::from_arg_matches(given).map(Arguments::Promote),
    },
    ChannelCommand {
        name: "rollback",
        about: "Point a channel back to an older release",
        example: "stable --registry production --by me@example",
        augment: RollbackArguments::augment_args,
        read: |given| RollbackArguments::from_arg_matches(given).map(Arguments::Rollback),
    },
    ChannelCommand {
        name: "yank",
        about: "Withdraw a release from channels and verification",
        example: "1.4.0 --reason \"loses data\" --registry production --by me@example",
        augment: YankArguments::augment_args,
        read: |given| YankArguments::from_arg_matches(given).map(Arguments::Yank),
    },
    ChannelCommand {
        name: "retention",
        about: "Delete expired releases from a registry, by [retention] of release.toml",
        example: "--plan --registry production",
        augment: RetentionArguments::augment_args,
        read: |given| RetentionArguments::from_arg_matches(given).map(Arguments::Retention),
    },
];

impl ChannelCommand {
    /// Adds the arguments to the clap command.
    pub fn add_arguments(&self, command: clap::Command) -> clap::Command {
        (self.augment)(command)
    }

    /// Reads the command line.
    ///
    /// # Errors
    /// When `given` is of another command.
    pub fn read(&self, given: &ArgMatches) -> Result<Call, clap::Error> {
        (self.read)(given).map(Call)
    }
}

/// Author of a change, and signer of the release.
#[derive(Debug, clap::Args)]
struct ChangeArguments {
    #[command(flatten)]
    registry: RegistryArguments,
    /// Who makes the change, for the record
    #[arg(long, value_name = "NAME")]
    by: String,
    #[command(flatten)]
    identity: IdentityArguments,
    /// builder.id that the provenance must name; {version} is the version of the release [default: the
    /// local build]
    #[arg(long, value_name = "URI")]
    builder: Option<String>,
    /// Public key that the newest record is signed with, after a change of the key
    #[arg(long, value_name = "FILE")]
    previous_key: Option<PathBuf>,
    /// File with the newest record that was seen: one that was not made from it is not signed again
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Change channels whose newest record has expired, without a --state
    #[arg(long)]
    accept_expired: bool,
}

/// Signer of the releases, if it is an identity; of the records too, unless there is a key.
#[derive(Debug, clap::Args)]
struct IdentityArguments {
    /// Identity of the signer: the whole e-mail address or URI; {version} is the version of the release
    #[arg(long, value_name = "NAME", requires = "certificate_oidc_issuer")]
    certificate_identity: Option<String>,
    /// The whole URL of the issuer of that identity
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
}

/// Arguments of `channels`.
#[derive(Debug, clap::Args)]
struct ChannelsArguments {
    #[command(flatten)]
    registry: RegistryArguments,
    /// File with the public key
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_identity")]
    #[arg(required_unless_present_any = ["certificate_identity", "refresh"])]
    key: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Show every change, the newest first
    #[arg(long)]
    history: bool,
    /// Renew the record as NAME, with a later expiry, signed with the key of `promote`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["history", "key", "json"])]
    refresh: Option<String>,
    /// File with the newest record that was seen: one that was not made from it is not signed again
    #[arg(long, value_name = "FILE", requires = "refresh")]
    state: Option<PathBuf>,
    /// Renew a record that has expired, without a --state
    #[arg(long, requires = "refresh")]
    accept_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `promote`.
#[derive(Debug, clap::Args)]
struct PromoteArguments {
    /// Version of the release, such as 1.4.0
    version: String,
    /// Channel: candidate, stable, latest, edge, or X.Y
    #[arg(long, value_name = "CHANNEL")]
    to: String,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
struct RollbackArguments {
    /// Channel: candidate, stable, latest, edge, or X.Y
    channel: String,
    /// Version to go back to [default: the release that the channel had before]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Arguments of `yank`.
#[derive(Debug, clap::Args)]
struct YankArguments {
    /// Version of the release, such as 1.4.0
    version: String,
    /// Reason for the withdrawal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Release page to withdraw it from too: NAME of [assets.NAME] in release.toml, or a folder
    /// [default: the page with the name of the registry]
    #[arg(long, value_name = "NAME|DIR")]
    pages: Option<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// One of [`COMMANDS`], with its arguments.
#[derive(Debug)]
pub struct Call(Arguments);

#[derive(Debug)]
enum Arguments {
    Channels(ChannelsArguments),
    Promote(PromoteArguments),
    Rollback(RollbackArguments),
    Yank(YankArguments),
    Retention(RetentionArguments),
}

impl Call {
    /// The call of `notary`.
    ///
    /// # Errors
    /// When the registry is unknown, or there is no key to sign a change with.
    pub fn command(&self, run: &Run) -> Result<Command> {
        match &self.0 {
            Arguments::Channels(it) => match &it.refresh {
                Some(by) => {
                    // The registry first: a mistyped name needs no key.
                    let call = it.registry.add_to(run, notary::call(run, "refresh-channels"))?;
                    let call = it.identity.add_signers(run, call)?.args(["--by", by]);
                    Ok(add_state(call, it.state.as_ref(), it.accept_expired))
                }
                None => it.registry.add_to(run, it.add_to(notary::call(run, "channels"))),
            },
            Arguments::Promote(it) => {
                let call = notary::call(run, "promote").args([&it.version, "--to", &it.to]);
                it.change.add_to(run, call)
            }
            Arguments::Rollback(it) => {
                let call = notary::call(run, "rollback").arg(&it.channel);
                let call = it.to.iter().fold(call, |call, to| call.args(["--to", to]));
                it.change.add_to(run, call)
            }
            Arguments::Yank(it) => {
                let call = notary::call(run, "yank").args([&it.version, "--reason", &it.reason]);
                it.change.add_to(run, call)
            }
            Arguments::Retention(it) => it.registry.add_to(run, it.call(run)),
        }
    }

    /// The call of `notary` for the release page, after [`Call::command`]; only of `yank`.
    ///
    /// # Errors
    /// When the page is unknown.
    pub fn page(&self, run: &Run) -> Result<Option<Command>> {
        let Arguments::Yank(it) = &self.0 else { return Ok(None) };
        let (name, usual) = (it.pages.as_deref(), it.change.registry.name());
        let call = pages::yank(run, name, usual, &it.version)?;
        Ok(call.map(|call| call.args(["--reason", &it.reason, "--by", &it.change.by])))
    }
}

impl ChangeArguments {
    fn add_to(&self, run: &Run, call: Command) -> Result<Command> {
        let Self { registry, by, identity, builder, previous_key, state, accept_expired } = self;
        let product = &run.workspace.product().product.name;
        // The registry first: a mistyped name needs no key.
        let call = registry.add_to(run, call)?;
        let call = identity.add_signers(run, call)?.args(["--by", by, "--product", product]);
        let call = builder.iter().fold(call, |call, it| call.args(["--builder", it]));
        let call = previous_key
            .iter()
            .fold(call, |call, path| call.arg("--previous-key").arg(absolute(path.clone())));
        Ok(add_state(call, state.as_ref(), *accept_expired))
    }
}

/// `call` with the newest record that was seen.
fn add_state(call: Command, state: Option<&PathBuf>, accept_expired: bool) -> Command {
    let call =
        state.iter().fold(call, |call, path| call.arg("--state").arg(absolute((*path).clone())));
    if accept_expired { call.arg("--accept-expired") } else { call }
}

impl IdentityArguments {
    /// `call` with the key that the environment names and this identity, one of which signs the record.
    fn add_signers(&self, run: &Run, call: Command) -> Result<Command> {
        let (key, engine) = Key::for_records(run)?;
        if let Key::ThrowAway(_) = key {
            bail!(
                "changing a channel needs the key that its record is signed with: set XTASK_SIGNING_KEY to the path \
                 of a cosign key file, and COSIGN_PASSWORD_FILE to that of a file with its password"
            );
        }
        let call = key.sign(engine, call);
        Ok(match self.identity_and_issuer() {
            Some((identity, issuer)) => key.add_identity(call, identity, issuer),
            None => call,
        })
    }

    /// The identity and its issuer; clap requires both or none.
    fn identity_and_issuer(&self) -> Option<(&str, &str)> {
        self.certificate_identity.as_deref().zip(self.certificate_oidc_issuer.as_deref())
    }
}

impl ChannelsArguments {
    fn add_to(&self, call: Command) -> Command {
        let call = match (&self.key, self.identity.identity_and_issuer()) {
            (Some(key), _) => call.arg("--key").arg(absolute(key.clone())),
            (None, Some((identity, issuer))) => notary::add_identity(call, identity, issuer),
            (None, None) => call,
        };
        let flags = [("--history", self.history), ("--json", self.json)];
        flags.into_iter().filter(|it| it.1).fold(call, |call, it| call.arg(it.0))
    }
}
