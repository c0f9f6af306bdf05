// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask setup` with a mirror that lacks a pinned file or has another one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{Fixture, have};

/// Pinned file for the host's architecture, relative to the root of an archive.
fn pinned_path() -> String {
    let pins = include_str!("../../../build/engine/data/pins.toml");
    let architecture = if cfg!(target_arch = "aarch64") { "_arm64.deb" } else { "_amd64.deb" };
    let paths = pins.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    let mut paths = paths.filter(|path| path.ends_with(architecture));
    paths.next().unwrap().to_owned()
}

/// A mount namespace whose apt uses only a mirror in a folder.
struct Machine {
    fixture: Fixture,
    sources: tempfile::TempDir,
    mirror: tempfile::TempDir,
}

impl Machine {
    /// `None` where the host cannot create one; the test is then recorded as skipped.
    fn new() -> Option<Self> {
        let apt = Path::new("/usr/lib/apt/apt-helper").exists();
        let helper = test_support::machine_gives("apt", apt);
        let namespaces = || {
            let probe =
                Command::new("unshare").args(["--mount", "--map-root-user", "true"]).status();
            test_support::machine_gives("user namespaces", probe.is_ok_and(|it| it.success()))
        };
        if !(have(&["unshare", "dpkg-deb"]) && helper && namespaces()) {
            return None;
        }
        let machine = Self {
            fixture: Fixture::new(),
            sources: tempfile::tempdir().unwrap(),
            mirror: tempfile::tempdir().unwrap(),
        };
        let suite = fs::read_to_string("/etc/os-release").unwrap();
        let suite = suite.lines().find_map(|it| it.strip_prefix("VERSION_CODENAME=")).unwrap();
        let mirror = machine.mirror.path().display();
        let line = format!("deb [trusted=yes] file:{mirror} {suite} main\n");
        fs::write(machine.sources.path().join("mirror.list"), line).unwrap();
        Some(machine)
    }

    /// Installs the programs of a smoke test, including cosign.
    fn set_up(&self) -> Output {
        // Keeps the host's lists unchanged: apt removes those of other mirrors.
        let script = "mount --bind \"$1\" /etc/apt/sources.list.d\n\
            if [ -e /etc/apt/sources.list ]; then mount --bind /dev/null /etc/apt/sources.list; fi\n\
            mount -t tmpfs tmpfs /var/lib/apt/lists\n\
            exec \"$2\" setup --yes --for 'smoke registry'";
        Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-ec", script, "sh"])
            .arg(self.sources.path())
            .arg(env!("CARGO_BIN_EXE_xtask"))
            .current_dir(self.fixture.root())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env_remove("XTASK_DEBIAN_ARCHIVE")
            .output()
            .unwrap()
    }

    fn is_installed(&self) -> bool {
        self.fixture.root().join("target/tools/bin/cosign").exists()
    }
}

#[test]
fn a_pinned_file_that_the_mirror_dropped_is_an_error_with_its_fix() {
    let Some(machine) = Machine::new() else { return };
    let output = machine.set_up();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["no archive has cosign", "setup --update-pins", "XTASK_DEBIAN_ARCHIVE"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!machine.is_installed());
}

#[test]
fn another_file_in_the_place_of_a_pinned_one_is_not_installed() {
    let Some(machine) = Machine::new() else { return };
    let file = machine.mirror.path().join(pinned_path());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "not the pinned package").unwrap();
    let output = machine.set_up();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the SHA-256 differs"), "{text}");
    assert!(!machine.is_installed());
}
