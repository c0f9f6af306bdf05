// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Logging to standard error, as text or JSON, filtered by level. Audit log lines are always JSON
//! and ignore the level.
//!
//! Requests are logged with method, path and status only. Headers, queries and bodies carry
//! passwords and signatures.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::audit;

/// Log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// Parses a level or directives such as `info,controller=debug`.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(level)
}

/// Initializes logging for this process.
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
    started.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))
}
