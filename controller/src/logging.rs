// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Logs: to standard error, as text or JSON, filtered by level.
//!
//! What is logged of a request is its method, path and answer: never a header, a query or a body,
//! because those carry passwords and signatures.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Config, LogFormat};

/// Reads a level or directives such as `info,controller=debug`.
///
/// # Errors
/// When it is neither.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(level)
}

/// Starts logging for this process.
///
/// # Errors
/// When the level is malformed, or logging was started before.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log_level).context("log level")?)
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("start logging: {e}"))
}
