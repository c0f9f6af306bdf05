// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Logs: to standard error, as text or JSON, filtered by level. Lines of the audit log are JSON in either
//! case, whatever the level.
//!
//! What is logged of a request is its method, path and answer: never a header, a query or a body,
//! because those carry passwords and signatures.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::audit;

/// Where logs go and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object in a line.
    Json,
}

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
pub(crate) fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let level = filter(level).context("log level")?;
    let level = level.and(filter_fn(|event| event.target() != audit::TARGET));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).with_filter(level).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(level).boxed(),
    };
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_filter(filter_fn(|event| event.target() == audit::TARGET));
    let started = tracing_subscriber::registry().with(layer).with(lines).try_init();
    started.map_err(|e| anyhow::anyhow!("start logging: {e}"))
}
