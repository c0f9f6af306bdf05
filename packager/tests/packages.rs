// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Package managers read, install and remove the packages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder with package content, and packages of it.
struct Work(TempDir);

impl Work {
    fn new() -> Self {
        let work = Self(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("app", "#!/bin/sh\necho app\n"),
            ("app.service", "[Service]\nExecStart=/usr/bin/app\n"),
            ("app.toml", "answer = 42\n"),
            ("app.1", ".TH app 1\n"),
        ] {
            fs::write(work.path(name), text).unwrap();
        }
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the package `name` of `version` and returns its path.
    fn package(&self, format: &str, version: &str) -> PathBuf {
        let source = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let description = format!(
            r#"{{
                "name": "example-app",
                "version": "{version}",
                "architecture": "amd64",
                "epoch": 1700000000,
                "summary": "An example",
                "text": "Prints its name.\n\nAnd nothing else.",
                "license": "AGPL-3.0-or-later",
                "vendor": "Example Authors",
                "homepage": "https://example.org/source",
                "recommends": ["ca-certificates"],
                "unit": "app.service",
                "state": ["/var/lib/example"],
                "folders": ["/etc/example"],
                "files": [
                    {{"path": "/usr/bin/app", "source": {:?}, "executable": true}},
                    {{"path": "/usr/lib/systemd/system/app.service", "source": {:?}}},
                    {{"path": "/etc/example/app.toml", "source": {:?}, "config": true}},
                    {{"path": "/usr/share/man/man1/app.1.gz", "source": {:?}, "gzip": true}}
                ]
            }}"#,
            source("app"),
            source("app.service"),
            source("app.toml"),
            source("app.1"),
        );
        let file = self.path("description.json");
        fs::write(&file, description).unwrap();
        let package = self.path(&format!("app-{version}.{format}"));
        let mut packager = Command::new(env!("CARGO_BIN_EXE_packager"));
        packager.args(["--format", format, "--description"]).arg(&file);
        let status = packager.arg("--output").arg(&package).status().unwrap();
        assert!(status.success());
        package
    }
}

/// A minimal system with a shell that records calls of systemctl.
struct System(TempDir);

impl System {
    /// `None` if the host can't provide one; the test is then skipped.
    fn new() -> Option<Self> {
        if !test_support::machine_gives("root rights", rustix::process::geteuid().is_root()) {
            return None;
        }
        let busybox = test_support::find("busybox")?;
        let system = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "usr/bin", "run/systemd/system", "var/lib/dpkg", "dev"] {
            fs::create_dir_all(system.path(folder)).unwrap();
        }
        fs::copy(busybox, system.path("bin/busybox")).unwrap();
        for program in ["sh", "rm", "echo", "basename"] {
            symlink("/bin/busybox", system.path("bin").join(program)).unwrap();
        }
        for program in ["systemctl", "deb-systemd-helper", "deb-systemd-invoke"] {
            let path = system.path("usr/bin").join(program);
            fs::write(&path, "#!/bin/sh\necho \"${0##*/} $*\" >> /calls\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available", "dev/null"] {
            fs::write(system.path(file), "").unwrap();
        }
        Some(system)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// systemctl calls since the last call of this function.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _was_there = fs::remove_file(self.path("calls"));
        text.lines().map(str::to_owned).collect()
    }

    /// Runs `program` on this system.
    fn manage(&self, program: &Path, arguments: &[&str], package: Option<&Path>) -> String {
        let root = format!("--root={}", self.0.path().display());
        let mut arguments = [&[root.as_str()], arguments].concat();
        arguments.extend(package.map(|it| it.to_str().unwrap()));
        test_support::run(program, &arguments)
    }
}

#[test]
fn equal_descriptions_give_equal_packages_wherever_they_are_made() {
    let (one, other) = (Work::new(), Work::new());
    let file = fs::File::options().write(true).open(other.path("app")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::set_permissions(other.path("app"), fs::Permissions::from_mode(0o600)).unwrap();
    for format in ["deb", "rpm"] {
        let packages = [&one, &other].map(|it| fs::read(it.package(format, "1.2.3")).unwrap());
        assert!(packages[0] == packages[1], "{format}");
        let folder = one.0.path().to_str().unwrap().as_bytes();
        assert!(!packages[0].windows(folder.len()).any(|it| it == folder), "{format}");
    }
}

#[test]
fn dpkg_deb_reads_our_description_of_a_package() {
    let Some(dpkg_deb) = test_support::find("dpkg-deb") else { return };
    let work = Work::new();
    let package = work.package("deb", "1.2.3-rc.1");
    let package = package.to_str().unwrap();
    let fields = test_support::run(&dpkg_deb, &["--field", package]);
    for line in [
        "Package: example-app",
        "Version: 1.2.3~rc.1",
        "Architecture: amd64",
        "Maintainer: Example Authors",
        "Recommends: ca-certificates",
        "Homepage: https://example.org/source",
        "Description: An example\n Prints its name.\n .\n And nothing else.",
    ] {
        assert!(fields.contains(line), "{fields}");
    }
    let listed = test_support::run(&dpkg_deb, &["--contents", package]);
    for line in [
        "drwxr-xr-x root/root         0 2023-11-14 22:13 ./usr/bin/",
        "-rwxr-xr-x root/root        19 2023-11-14 22:13 ./usr/bin/app",
        "-rw-r--r-- root/root        12 2023-11-14 22:13 ./etc/example/app.toml",
        " ./usr/share/man/man1/app.1.gz",
    ] {
        assert!(listed.contains(line), "{line}\n{listed}");
    }
}

#[test]
fn dpkg_installs_upgrades_removes_and_purges() {
    let Some(dpkg) = test_support::find("dpkg") else { return };
    let Some(system) = System::new() else { return };
    let work = Work::new();
    let install = ["--force-not-root", "--force-depends", "--install"];
    let dpkg =
        |arguments: &[&str], package: Option<&Path>| system.manage(&dpkg, arguments, package);

    dpkg(&install, Some(&work.package("deb", "1.2.3-rc.1")));
    assert_eq!(
        system.calls(),
        [
            "deb-systemd-helper unmask app.service",
            "deb-systemd-helper --quiet was-enabled app.service",
            "deb-systemd-helper enable app.service",
            "systemctl --system daemon-reload",
            "deb-systemd-invoke start app.service",
        ]
    );
    assert_eq!(fs::read_to_string(system.path("etc/example/app.toml")).unwrap(), "answer = 42\n");

    // Changes of the administrator are kept.
    fs::write(system.path("etc/example/app.toml"), "answer = 43\n").unwrap();
    dpkg(&install, Some(&work.package("deb", "1.2.3")));
    assert_eq!(fs::read_to_string(system.path("etc/example/app.toml")).unwrap(), "answer = 43\n");
    let calls = system.calls();
    assert_eq!(calls.last().unwrap(), "deb-systemd-invoke restart app.service");
    assert!(!calls.iter().any(|it| it.contains("stop")), "{calls:?}");

    fs::create_dir_all(system.path("var/lib/example/deep")).unwrap();
    dpkg(&["--remove", "example-app"], None);
    let stopped = ["deb-systemd-invoke stop app.service", "systemctl --system daemon-reload"];
    assert_eq!(system.calls(), stopped);
    assert!(!system.has("usr/bin/app") && !system.has("usr/lib/systemd/system/app.service"));
    assert!(system.has("etc/example/app.toml") && system.has("var/lib/example"));

    dpkg(&["--purge", "example-app"], None);
    assert_eq!(system.calls(), ["deb-systemd-helper purge app.service"]);
    assert!(!system.has("etc/example") && !system.has("var/lib/example"));
    assert!(!system.has("usr/share/man"));
}

#[test]
fn rpm_reads_checks_installs_upgrades_and_removes() {
    let Some(rpm) = test_support::find("rpm") else { return };
    let work = Work::new();
    let (old, new) = (work.package("rpm", "1.2.3-rc.1"), work.package("rpm", "1.2.3"));
    let checked = test_support::run(&rpm, &["-K", "--nosignature", old.to_str().unwrap()]);
    assert!(checked.contains("digests OK"), "{checked}");
    let format = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{VENDOR} %{BUILDTIME} \
                  %{BUILDHOST} %{RECOMMENDS} %{PAYLOADCOMPRESSOR}";
    let query = ["-qp", "--nosignature", "--queryformat", format, old.to_str().unwrap()];
    let reported = test_support::run(&rpm, &query);
    assert_eq!(
        reported,
        "example-app 1.2.3~rc.1 1 x86_64 AGPL-3.0-or-later Example Authors 1700000000 \
         (none) ca-certificates zstd"
    );

    // Both list the same digests.
    let query = ["-qp", "--nosignature", "--queryformat", "[%{FILEDIGESTS}  %{FILENAMES}\n]"];
    let listed = test_support::run(&rpm, &[&query[..], &[old.to_str().unwrap()]].concat());
    let files: Vec<_> = listed.lines().filter(|line| !line.starts_with(' ')).collect();
    let packager = Path::new(env!("CARGO_BIN_EXE_packager"));
    let own = test_support::run(packager, &["--list", old.to_str().unwrap()]);
    assert_eq!(own.lines().collect::<Vec<_>>(), files);
    assert_eq!(files.len(), 4);

    let Some(system) = System::new() else { return };
    let rpm = |arguments: &[&str], package: Option<&Path>| system.manage(&rpm, arguments, package);
    let quiet = ["--nodeps", "--nosignature", "--ignorearch"];
    rpm(&[&["-i"], &quiet[..]].concat(), Some(&old));
    assert_eq!(
        system.calls(),
        ["systemctl --no-reload preset app.service", "systemctl daemon-reload"]
    );
    let verify = ["-V", "--nodeps", "example-app"];
    assert_eq!(rpm(&verify, None), "");

    fs::write(system.path("etc/example/app.toml"), "answer = 43\n").unwrap();
    rpm(&[&["-U"], &quiet[..]].concat(), Some(&new));
    assert_eq!(fs::read_to_string(system.path("etc/example/app.toml")).unwrap(), "answer = 43\n");
    let calls = system.calls();
    assert_eq!(calls.last().unwrap(), "systemctl try-restart app.service");
    assert!(!calls.iter().any(|it| it.contains("stop")), "{calls:?}");

    rpm(&["-e", "--nodeps", "example-app"], None);
    assert_eq!(
        system.calls(),
        [
            "systemctl --no-reload disable app.service",
            "systemctl stop app.service",
            "systemctl daemon-reload",
        ]
    );
    assert!(!system.has("usr/bin/app") && !system.has("usr/lib/systemd/system/app.service"));
    // A changed file is kept as .rpmsave.
    assert!(!system.has("etc/example/app.toml") && system.has("etc/example/app.toml.rpmsave"));
}

#[test]
fn a_description_that_can_not_be_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("x.json");
    for (text, expected) in [("{", "is malformed"), (r#"{"nam": 1}"#, "unknown field `nam`")] {
        fs::write(&description, text).unwrap();
        let output = folder.path().join("x.deb");
        let mut packager = Command::new(env!("CARGO_BIN_EXE_packager"));
        packager.args(["--format", "deb", "--description"]).arg(&description);
        let ran = packager.arg("--output").arg(&output).output().unwrap();
        let error = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success() && error.contains(expected), "{error}");
        assert!(!output.exists());
        let mut packager = Command::new(env!("CARGO_BIN_EXE_packager"));
        let ran = packager.arg("--list").arg(&description).output().unwrap();
        assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
    }
}
