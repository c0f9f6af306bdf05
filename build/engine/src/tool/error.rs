// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Result of an external program, and the error message when it failed.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::log::StepLog;
use super::process::ProcessResult;

/// An external program that has ended.
#[derive(Debug)]
pub struct Finished {
    line: String,
    ended: ProcessResult,
    log: PathBuf,
}

impl Finished {
    pub(super) fn new(line: String, ended: ProcessResult, log: &StepLog) -> Self {
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
    /// Otherwise, with the end of the output.
    pub fn success(self) -> Result<Vec<u8>> {
        let status = self.ended.status;
        if status.success() {
            return Ok(self.ended.stdout);
        }
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended without exit code or signal".to_owned(),
        };
        let tail: String = self.ended.tail.iter().map(|line| format!("\n  | {line}")).collect();
        bail!(
            "`{}` {how}{tail}\n  log: {}\n  fix: run the command in a shell to see its failure alone",
            self.line,
            self.log.display()
        )
    }
}
