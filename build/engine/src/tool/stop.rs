// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Stops a run early: on Ctrl-C or SIGTERM all children are terminated, and xtask still writes its
//! journal and report.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Stop request, and the process groups that it terminates.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    requested: bool,
    groups: Vec<Pid>,
}

impl Stop {
    /// Requests a stop on SIGINT, SIGTERM or SIGHUP (terminal closed). A second signal kills the
    /// children at once.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let (mut receiver, sender) = UnixStream::pair().context("cannot create a pipe")?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let sender = sender.try_clone().context("cannot create a pipe")?;
            pipe::register(signal, sender).context("cannot watch for signals")?;
        }
        let watcher = stop.clone();
        std::thread::spawn(move || {
            let mut byte = [0];
            while receiver.read_exact(&mut byte).is_ok() {
                if watcher.is_requested() {
                    watcher.kill(Signal::KILL);
                } else {
                    watcher.request();
                }
            }
        });
        Ok(stop)
    }

    /// Requests a stop: children get SIGTERM, then SIGKILL.
    pub fn request(&self) {
        self.lock().requested = true;
        self.kill(Signal::TERM);
        let late = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(GRACE);
            late.kill(Signal::KILL);
        });
    }

    /// Whether a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.lock().requested
    }

    /// Registers a process group to terminate on stop.
    pub(super) fn watch(&self, group: Pid) {
        let mut state = self.lock();
        state.groups.push(group);
        if state.requested {
            signal(group, Signal::KILL);
        }
    }

    /// Kills and unregisters a process group whose leader has ended but is not reaped: its id is
    /// still valid.
    pub(super) fn leave(&self, group: Pid) {
        self.lock().groups.retain(|other| *other != group);
        signal(group, Signal::KILL);
    }

    /// Unregisters a process group whose leader was reaped: its id may be reused.
    pub(super) fn unregister(&self, group: Pid) {
        self.lock().groups.retain(|other| *other != group);
    }

    fn kill(&self, with: Signal) {
        for group in &self.lock().groups {
            signal(*group, with);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The group may have ended already.
fn signal(group: Pid, with: Signal) {
    let _gone = kill_process_group(group, with);
}
