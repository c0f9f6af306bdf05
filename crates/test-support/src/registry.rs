// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registry processes, for tests of clients.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
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
        let command = |address: &str| {
            let storage = place("storage");
            let text = format!(
                "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'{tls}}}\nstorage: \
                 {{filesystem: {{rootdirectory: '{}'}}, delete: {{enabled: true}}}}\n{rest}",
                storage.display()
            );
            fs::write(place("config.yml"), text).unwrap();
            let mut command = Command::new(&program);
            command.arg("serve").arg(place("config.yml"));
            command
        };
        let (process, address) = on_free_port(command);
        Some(Self::new(process, address, folder))
    }

    /// Starts the registry of Google's go-containerregistry, which keeps everything in memory; `None`
    /// if crane is not installed. It has no referrers API, and its tags outlive their manifests.
    ///
    /// # Panics
    /// When it exits right after the start.
    pub fn go_containerregistry() -> Option<Self> {
        let program = find("crane")?;
        let (process, address) = on_free_port(|address| {
            let mut command = Command::new(&program);
            command.args(["registry", "serve", "--address", address]);
            command
        });
        Some(Self::new(process, address, TempDir::new().unwrap()))
    }

    /// Starts the controller; `None` if it was not built.
    pub fn controller() -> Option<Self> {
        Self::controller_with("")
    }

    /// Starts the controller with this configuration text.
    pub fn controller_with(configuration: &str) -> Option<Self> {
        let program = controller()?;
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

/// The controller's program; `None` if it was not built.
#[must_use]
pub fn controller() -> Option<PathBuf> {
    let beside = std::env::current_exe().unwrap();
    let beside = beside.ancestors().nth(2).unwrap();
    // With a separate build directory, programs are not beside the test.
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || beside.to_owned(),
        |target| Path::new(&target).join(beside.file_name().unwrap()),
    );
    let program = folder.join("controller");
    machine_gives("a built controller", program.exists()).then_some(program)
}

/// Starts a server on a free port, and returns it with its address when it accepts connections.
fn on_free_port(command: impl Fn(&str) -> Command) -> (Child, String) {
    // Another process may take the free port first: retry with another one.
    for _ in 0..5 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut command = command(&address);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while process.try_wait().unwrap().is_none() {
            if TcpStream::connect(&address).is_ok() {
                return (process, address);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("the registry ends right after its start");
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
