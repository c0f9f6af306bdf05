// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A background program of a step, such as the registry that a release is published to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use foundation::command::Command;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::process;
use super::stop::Stop;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Polling interval.
const PAUSE: Duration = Duration::from_millis(20);

/// A running background program. Dropping it terminates the program, with SIGKILL as last resort.
pub struct Daemon {
    child: Child,
    group: Pid,
    output: PathBuf,
    stop: Stop,
}

impl Daemon {
    pub(super) fn start(
        program: &Path,
        private: &Path,
        command: &Command,
        output: &Path,
        stop: &Stop,
    ) -> Result<Self> {
        let file =
            File::create(output).with_context(|| format!("cannot create {}", output.display()))?;
        let copy = file.try_clone().context("cannot share the log with the program")?;
        let child = process::prepare(program, private, command)?
            .stdout(file)
            .stderr(copy)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let group = Pid::from_child(&child);
        stop.watch(group);
        Ok(Self { child, group, output: output.to_owned(), stop: stop.clone() })
    }

    /// Waits until the program has written `file` atomically, and returns its content.
    ///
    /// # Errors
    /// When the program ends first, or `patience` expires.
    pub fn wait_for_file(&mut self, file: &Path, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok(text) = fs::read_to_string(file) {
                return Ok(text);
            }
            if self.has_ended()? {
                bail!("the program exited at once; see {}", self.output.display());
            }
            if self.stop.is_requested() {
                bail!("the run was stopped");
            }
            if Instant::now() >= deadline {
                bail!(
                    "the program was not ready after {} s; see {}",
                    patience.as_secs(),
                    self.output.display()
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Its process id.
    pub fn number(&self) -> i32 {
        self.group.as_raw_pid()
    }

    /// Kills it with SIGKILL.
    pub fn kill(self) -> Result<()> {
        kill_process_group(self.group, Signal::KILL).context("cannot kill the program")
    }

    /// Whether it has ended. Does not reap it, so that its process id stays valid until it is
    /// dropped.
    pub fn has_ended(&self) -> Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::Pid(self.group), options)
            .context("cannot query the state of the program")?;
        Ok(status.is_some())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                // Already reaped: the process id may be reused.
                self.stop.unregister(self.group);
                return;
            }
            std::thread::sleep(PAUSE);
        }
        self.stop.leave(self.group);
        drop(self.child.wait());
    }
}
