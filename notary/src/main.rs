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
mod rebuild;
mod release_folder;
mod retention;
mod sign;
mod signer;
mod withdrawal;

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use clap::Parser as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};

use cli::{Cli, Command, KeyCommand};

fn main() -> ExitCode {
    if let Err(error) = clean_up_when_stopped() {
        eprintln!("notary: cannot handle signals: {error}");
        return ExitCode::FAILURE;
    }
    run(Cli::parse()).unwrap_or_else(|error| {
        eprintln!("notary: {}", escape::lines(&chain(&error)));
        ExitCode::FAILURE
    })
}

/// Removes temporary files when a signal stops the program: some are large, others have a key.
fn clean_up_when_stopped() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let (mut stopped, handler) = UnixStream::pair()?;
        pipe::register(signal, handler)?;
        thread::spawn(move || {
            if stopped.read_exact(&mut [0]).is_ok() {
                files::remove_temporary();
                // Ends the program by the signal, as its caller expects.
                emulate_default_handler(signal).ok();
            }
        });
    }
    Ok(())
}

/// The error with its causes. A cause that ends the text before it is not repeated: many errors
/// contain the text of their cause.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Key(KeyCommand::Generate { output_key_prefix }) => {
            key::generate(&output_key_prefix)?;
        }
        Command::Sign(args) => sign::run(&args)?,
        Command::Attest(args) => match &args.rebuild {
            Some(rebuilt) => rebuild::run(&args.signing, rebuilt)?,
            None => attest::run(&args.signing)?,
        },
        Command::Publish(args) => publish::run(&args)?,
        Command::Copy(args) => publish::copy::run(&args)?,
        Command::Bundle(args) => publish::bundle::run(&args)?,
        Command::Unbundle(args) => publish::bundle::unbundle::run(&args)?,
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

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    #[test]
    fn a_cause_is_printed_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("GET r.example: {source}")]
        struct Transport {
            source: io::Error,
        }
        let refused = Transport { source: io::Error::other("connection refused") };
        let error = Err::<(), _>(refused).context("cannot read the tags").unwrap_err();
        assert_eq!(super::chain(&error), "cannot read the tags: GET r.example: connection refused");
    }
}
