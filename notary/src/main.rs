// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signs, attests, publishes and verifies releases: the only part of the release system that uses
//! keys and registries.
//!
//! All release data comes from `release.json`, so it can run on another host than the build.
#![forbid(unsafe_code)]

mod attest;
mod channel;
mod cli;
mod cosign;
mod date;
mod github;
mod key;
mod key_args;
mod pages;
mod publish;
mod release_folder;
mod retention;
mod sign;
mod signer;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command, KeyCommand};

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        eprintln!("notary: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Key(KeyCommand::Generate { output_key_prefix }) => {
            key::generate(&output_key_prefix)?;
        }
        Command::Sign(args) => sign::run(&args)?,
        Command::Attest(args) => attest::run(&args)?,
        Command::Publish(args) => publish::run(&args)?,
        Command::Copy(args) => publish::copy::run(&args)?,
        Command::ReleasePage(args) => pages::run(&args)?,
        Command::GithubRelease(args) => github::run(&args)?,
        Command::PushImages(args) => publish::images::run(&args)?,
        Command::PushTestArtifacts(args) => publish::test_artifacts::run(&args)?,
        Command::Channels(args) => return channel::show(&args),
        Command::Promote(args) => channel::promote(&args)?,
        Command::Rollback(args) => channel::rollback(&args)?,
        Command::Yank(args) => channel::yank(&args)?,
        Command::RefreshChannels(args) => channel::refresh(&args)?,
        Command::Retention(args) => retention::run(&args)?,
        Command::Verify(args) => return Ok(args.run()),
    }
    Ok(ExitCode::SUCCESS)
}
