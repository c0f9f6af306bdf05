// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Result of an external program, and the error message when it failed.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::Result;

use super::log::StepLog;
use super::process::Ended;

/// An external program that has ended.
#[derive(Debug)]
pub struct Finished {
    line: String,
    ended: Ended,
    log: PathBuf,
}

/// A program that did not exit with 0.
#[derive(Debug)]
struct ToolFailure {
    /// The command in shell syntax.
    line: String,
    /// Exit code or signal.
    status: ExitStatus,
    /// The last lines of both streams, redacted.
    tail: Vec<String>,
    /// The step's log.
    log: PathBuf,
}

impl Finished {
    pub(super) fn new(line: String, ended: Ended, log: &StepLog) -> Self {
        Self { line, ended, log: log.path().to_owned() }
    }

    /// The exit code; `None` when killed by a signal.
    pub fn code(&self) -> Option<i32> {
        self.ended.status.code()
    }

    /// Captured standard output; empty unless captured.
    pub fn stdout(&self) -> &[u8] {
        &self.ended.stdout
    }

    /// Standard error, redacted; empty unless standard output was captured.
    pub fn stderr(&self) -> &str {
        &self.ended.stderr
    }

    /// The last lines of both streams, redacted.
    #[cfg(test)]
    pub fn tail(&self) -> &[String] {
        &self.ended.tail
    }

    /// Standard output if the exit code is 0.
    ///
    /// # Errors
    /// A [`ToolFailure`] otherwise.
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
            (Some(code), _) => write!(f, "`{}` exited with code {code}", self.line)?,
            (None, Some(signal)) => write!(f, "`{}` was killed by signal {signal}", self.line)?,
            (None, None) => write!(f, "`{}` ended without exit code or signal", self.line)?,
        }
        for line in &self.tail {
            write!(f, "\n  | {line}")?;
        }
        write!(f, "\n  log: {}", self.log.display())?;
        write!(f, "\n  fix: run the command in a shell to see its failure alone")
    }
}

impl std::error::Error for ToolFailure {}
