// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual machines under QEMU's own emulation, whose serial line is what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tools;

/// A machine starts in some ten seconds; slow and busy hosts get the rest.
const PATIENCE: Duration = Duration::from_mins(5);

/// QEMU for x86-64, if it is installed.
pub(crate) fn qemu() -> Option<PathBuf> {
    tools::find("qemu-system-x86_64")
}

/// Runs a machine until it ends or says `marker`, and answers all that it said.
pub(crate) fn run(qemu: &Path, folder: &Path, args: &[&str], marker: &str) -> String {
    let serial = folder.join("serial");
    drop(fs::remove_file(&serial));
    // One processor: emulated kernels panic now and then with more.
    let mut child = Command::new(qemu)
        .args(["-accel", "tcg", "-smp", "1", "-m", "512", "-display", "none", "-no-reboot"])
        .args(["-nic", "none", "-monitor", "none", "-serial"])
        .arg(format!("file:{}", serial.display()))
        .args(args)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(200));
        let text = String::from_utf8_lossy(&fs::read(&serial).unwrap_or_default()).into_owned();
        let ended = child.try_wait().unwrap().is_some();
        if ended || text.contains(marker) || start.elapsed() > PATIENCE {
            drop(child.kill());
            child.wait().unwrap();
            return text;
        }
    }
}
