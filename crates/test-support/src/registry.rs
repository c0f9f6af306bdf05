// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registry processes, for tests of clients.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::requirement::{find, machine_gives};

/// Configuration of a `docker-registry`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Distribution<'a> {
    /// Lines of its htpasswd file; empty for anonymous access.
    pub htpasswd: Option<&'a str>,
    /// Certificate and key in PEM; `None` for plain HTTP.
    pub tls: Option<(&'a str, &'a str)>,
}

/// A registry on the loopback interface. Process and data are removed on drop.
#[derive(Debug)]
pub struct Registry {
    /// `HOST:PORT`.
    pub address: String,
    process: Child,
    _data: TempDir,
}

impl Registry {
    fn new(process: Child, address: String, data: TempDir) -> Self {
        Self { address, process, _data: data }
    }

    /// Starts Debian's docker-registry; `None` if it is not installed.
    ///
    /// # Panics
    /// When it exits right after the start.
    pub fn distribution(with: Distribution<'_>) -> Option<Self> {
        let program = find("docker-registry")?;
        let folder = TempDir::new().unwrap();
        let place = |name: &str| folder.path().join(name);
        let mut rest = String::new();
        if let Some(lines) = with.htpasswd {
            fs::write(place("htpasswd"), lines).unwrap();
            let path = place("htpasswd");
            writeln!(rest, "auth: {{htpasswd: {{realm: r, path: '{}'}}}}", path.display()).unwrap();
        }
        let mut tls = String::new();
        if let Some((certificate, key)) = with.tls {
            let (certificate_path, key_path) = (place("tls.crt"), place("tls.key"));
            fs::write(&certificate_path, certificate).unwrap();
            fs::write(&key_path, key).unwrap();
            let (certificate, key) = (certificate_path.display(), key_path.display());
            write!(tls, ", tls: {{certificate: '{certificate}', key: '{key}'}}").unwrap();
        }
        // Another process may take the free port first: retry with another one.
        for _ in 0..5 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            drop(listener);
            let storage = place("storage");
            let text = format!(
                "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'{tls}}}\nstorage: \
                 {{filesystem: {{rootdirectory: '{}'}}, delete: {{enabled: true}}}}\n{rest}",
                storage.display()
            );
            fs::write(place("config.yml"), text).unwrap();
            let mut command = Command::new(&program);
            command.arg("serve").arg(place("config.yml"));
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(&address).is_ok() {
                    return Some(Self::new(process, address, folder));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("docker-registry ends right after its start");
    }

    /// Starts the controller; `None` if it was not built.
    pub fn controller() -> Option<Self> {
        Self::controller_with("")
    }

    /// Starts the controller with this configuration text.
    pub fn controller_with(configuration: &str) -> Option<Self> {
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
        let config = data.path().join("controller.toml");
        fs::write(&config, configuration).unwrap();
        let mut process = Command::new(program)
            .args(["serve", "--config"])
            .arg(&config)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
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
