// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Ending a run before its time: Ctrl-C or SIGTERM end every child, and we stay to write it down.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// What children get between the request to end and the end.
const GRACE: Duration = Duration::from_secs(5);

/// Whether the run is to end, and the process groups that end with it.
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
    /// Stops when the process gets SIGINT, SIGTERM, or SIGHUP (its terminal was closed). A second signal kills the children at once.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let (mut receiver, sender) = UnixStream::pair().context("cannot make a pipe")?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let sender = sender.try_clone().context("cannot make a pipe")?;
            pipe::register(signal, sender).context("cannot watch for signals")?;
        }
        let watcher = stop.clone();
        std::thread::spawn(move || {
            let mut byte = [0];
            while receiver.read_exact(&mut byte).is_ok() {
                if watcher.requested() {
                    watcher.kill(Signal::KILL);
                } else {
                    watcher.request();
                }
            }
        });
        Ok(stop)
    }

    /// Asks for the end of the run: children are asked to end, and killed when they don't.
    pub fn request(&self) {
        self.lock().requested = true;
        self.kill(Signal::TERM);
        let late = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(GRACE);
            late.kill(Signal::KILL);
        });
    }

    /// Whether the run is to end.
    pub fn requested(&self) -> bool {
        self.lock().requested
    }

    /// A process group that ends with us, from now on.
    pub(super) fn watch(&self, group: Pid) {
        let mut state = self.lock();
        state.groups.push(group);
        if state.requested {
            signal(group, Signal::KILL);
        }
    }

    /// A process group whose leader has ended but was not waited for yet: its number is still its
    /// own. What it left behind in the group ends now.
    pub(super) fn leave(&self, group: Pid) {
        self.lock().groups.retain(|other| *other != group);
        signal(group, Signal::KILL);
    }

    /// A process group whose leader was waited for: its number may be another's from now on.
    pub(super) fn forget(&self, group: Pid) {
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

/// A group that has ended by itself is no fault.
fn signal(group: Pid, with: Signal) {
    let _gone = kill_process_group(group, with);
}
