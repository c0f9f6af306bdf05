// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registry processes, for tests of clients.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::requirement::machine_gives;

/// A registry on the loopback interface. Process and data are removed on drop.
#[derive(Debug)]
pub struct Registry {
    /// `HOST:PORT`.
    pub address: String,
    process: Child,
    _data: TempDir,
}

impl Registry {
    /// Wraps `process`, which serves `data` on `address`.
    pub fn new(process: Child, address: String, data: TempDir) -> Self {
        Self { address, process, _data: data }
    }

    /// Starts the controller; `None` if it was not built.
    pub fn controller() -> Option<Self> {
        let beside = std::env::current_exe().unwrap();
        let beside = beside.ancestors().nth(2).unwrap();
        // With a separate build directory, programs are not beside the test.
        let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || beside.to_owned(),
            |target| Path::new(&target).join(beside.file_name().unwrap()),
        );
        let program = folder.join("controller");
        if !machine_gives("a built controller", program.exists()) {
            return None;
        }
        let data = TempDir::new().unwrap();
        let file = data.path().join("address");
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data.path().join("data"))
            .arg("--address-file")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        loop {
            assert!(process.try_wait().unwrap().is_none(), "the controller ends after its start");
            let address = fs::read_to_string(&file).unwrap_or_default();
            if let Some(address) = address.trim().strip_prefix("http://") {
                return Some(Self::new(process, address.to_owned(), data));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
