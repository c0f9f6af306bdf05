// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller api …`: password hashes and tokens.

use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use escape::print_line;

use super::Settings;
use crate::api::auth::{Grant, Role};
use crate::passwords;

/// Maximum length of a password, in bytes.
const LONGEST: u64 = 1024;

#[derive(Debug, Subcommand)]
pub(super) enum ApiCommand {
    /// Read a password from standard input and print its Argon2 hash, for a line NAME:HASH in
    /// `api.users`
    #[command(after_help = "Example:\n  controller api hash-password < password.txt")]
    HashPassword,
    /// Print a token, signed with the key in `api.token_key`
    #[command(
        after_help = "Example:\n  controller api token ci --valid 30d --config controller.toml"
    )]
    Token(Box<Token>),
}

#[derive(Debug, Args)]
pub(super) struct Token {
    /// Subject of the token, shown as creator of its jobs
    name: String,
    /// Role of the token
    #[arg(long, value_enum, default_value_t = Role::Operator)]
    role: Role,
    /// Limit the token to the servers of this `[[api.group]]`; can be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Lifetime
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    valid: Duration,
    #[command(flatten)]
    settings: Settings,
}

impl ApiCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::HashPassword => {
                let mut password = String::new();
                std::io::stdin()
                    .take(LONGEST)
                    .read_to_string(&mut password)
                    .context("cannot read the password from standard input")?;
                // Editors and `echo` append a line feed.
                let password = password.trim_end_matches(['\r', '\n']);
                anyhow::ensure!(!password.is_empty(), "no password on standard input");
                print_line(passwords::hash(password)?)?;
            }
            Self::Token(token) => {
                let Token { name, role, groups, valid, settings } = *token;
                let config = settings.load()?;
                let key = config.api.read_token_key().map_err(anyhow::Error::msg)?;
                let key = key.context(
                    "api.token_key is not set: name a file with the output of `openssl rand -base64 48`",
                )?;
                for group in &groups {
                    let exists = config.api.groups.iter().any(|known| known.name == *group);
                    anyhow::ensure!(exists, "no [[api.group]] has the name {group:?}");
                }
                let limited = role == Role::Admin && !groups.is_empty();
                anyhow::ensure!(!limited, "admins cannot be limited to groups");
                let issued = key.issue_grant(Grant { subject: name, role, groups }, valid);
                eprintln!(
                    "token id: {} (to revoke the token, add the id to the file of api.revoked_tokens)",
                    issued.id
                );
                print_line(issued.token)?;
            }
        }
        Ok(())
    }
}
