// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How a program ended, and what a person is told when it ended badly.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::Result;

use super::log::StepLog;
use super::process::Ended;

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    line: String,
    ended: Ended,
    log: PathBuf,
}

/// A program that ended with something else than 0.
#[derive(Debug)]
struct ToolFailure {
    /// The command as it can be pasted.
    line: String,
    /// Its exit code or the signal that killed it.
    status: ExitStatus,
    /// The end of what it wrote, to both streams, without secrets.
    tail: Vec<String>,
    /// The step's log.
    log: PathBuf,
}

impl Finished {
    pub(super) fn new(line: String, ended: Ended, log: &StepLog) -> Self {
        Self { line, ended, log: log.path().to_owned() }
    }

    /// The exit code; none when a signal killed it.
    pub fn code(&self) -> Option<i32> {
        self.ended.status.code()
    }

    /// What it wrote to standard output; empty unless that was asked for.
    pub fn stdout(&self) -> &[u8] {
        &self.ended.stdout
    }

    /// What it wrote to standard error, without secrets; empty unless standard output was asked for.
    pub fn stderr(&self) -> &str {
        &self.ended.stderr
    }

    /// The last lines of what it wrote to both streams, without secrets.
    #[cfg(test)]
    pub fn tail(&self) -> &[String] {
        &self.ended.tail
    }

    /// Its standard output when it ended with 0.
    ///
    /// # Errors
    /// A [`ToolFailure`] when it did not.
    pub fn success(self) -> Result<Vec<u8>> {
        if self.ended.status.success() {
            return Ok(self.ended.stdout);
        }
        Err(ToolFailure {
            line: self.line,
            status: self.ended.status,
            tail: self.ended.tail,
            log: self.log,
        }
        .into())
    }
}

impl fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "`{}` ended with exit code {code}", self.line)?,
            (None, Some(signal)) => write!(f, "`{}` was killed by signal {signal}", self.line)?,
            (None, None) => write!(f, "`{}` did not end as a program does", self.line)?,
        }
        for line in &self.tail {
            write!(f, "\n  | {line}")?;
        }
        write!(f, "\n  log: {}", self.log.display())?;
        write!(f, "\n  next: paste the command into a shell to see it fail by itself")
    }
}

impl std::error::Error for ToolFailure {}
