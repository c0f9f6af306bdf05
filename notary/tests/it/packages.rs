// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Packages with the name `example`, keys for their repositories, and the package managers that read
//! these.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The time in packages.
pub(crate) const EPOCH: u32 = 1_700_000_000;

/// Whether the programs that make and sign repositories are installed, and `judge`.
pub(crate) fn has_programs(judge: &str) -> bool {
    test_support::have(&["apt-ftparchive", "createrepo_c", "dpkg-deb", "gpg", "gpg-agent", judge])
}

/// A Debian package.
pub(crate) fn deb(version: &str) -> Vec<u8> {
    let tree = tempfile::tempdir().unwrap();
    let text = format!(
        "Package: example\nVersion: {}\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: x\n",
        version.replace('-', "~")
    );
    fs::create_dir_all(tree.path().join("in/DEBIAN")).unwrap();
    fs::write(tree.path().join("in/DEBIAN/control"), text).unwrap();
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "--build", "in", "out"]).current_dir(tree.path());
    succeed(build.env("SOURCE_DATE_EPOCH", EPOCH.to_string()));
    fs::read(tree.path().join("out")).unwrap()
}

/// An RPM package.
pub(crate) fn rpm(version: &str) -> Vec<u8> {
    let version = version.replace('-', "~");
    let mut package = rpm::PackageBuilder::new("example", &version, "MIT", "x86_64", "x");
    package.using_config(rpm::BuildConfig::v4().source_date(EPOCH)).release("1");
    let mut bytes = Vec::new();
    package.build().unwrap().write(&mut bytes).unwrap();
    bytes
}

/// An `OpenPGP` secret key.
pub(crate) fn secret_key(name: &str, password: &str) -> Vec<u8> {
    let home = tempfile::tempdir().unwrap();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(home.path()).args(["--batch", "--quiet", "--no-tty"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase", password]).args(arguments);
        succeed(&mut command).stdout
    };
    gpg(&["--quick-gen-key", name, "ed25519", "sign", "never"]);
    let secret = gpg(&["--armor", "--export-secret-keys"]);
    let mut kill = Command::new("gpgconf");
    kill.arg("--homedir").arg(home.path()).args(["--kill", "all"]).output().unwrap();
    secret
}

/// A host that installs with apt from the repository in a folder.
pub(crate) struct Apt(TempDir);

impl Apt {
    pub(crate) fn new(site: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["lists/partial", "cache/archives/partial", "etc"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("status"), "").unwrap();
        let site = site.display();
        let source =
            format!("deb [arch=amd64 signed-by={site}/repository.asc] file:{site} stable main\n");
        fs::write(at("etc/sources.list"), source).unwrap();
        let text = format!(
            "Dir::State \"{0}\"; Dir::State::lists \"{0}/lists\"; Dir::State::status \"{0}/status\";\n\
             Dir::Cache \"{0}/cache\"; Dir::Etc \"{0}/etc\"; Acquire::Languages \"none\";\n\
             APT::Architecture \"amd64\"; APT::Sandbox::User \"root\";\n",
            root.path().display()
        );
        fs::write(at("apt.conf"), text).unwrap();
        Self(root)
    }

    /// `apt-get update` and `download`: the name of the package file, or what apt printed.
    pub(crate) fn download(&self) -> Result<String, String> {
        let root = self.0.path();
        let call = |words: &[&str]| {
            let mut command = Command::new("apt-get");
            command.env("APT_CONFIG", root.join("apt.conf")).current_dir(root);
            command.args(words).output().unwrap()
        };
        for words in [&["update", "--error-on=any"][..], &["download", "example"]] {
            let output = call(words);
            if !output.status.success() {
                return Err(text(&output));
            }
        }
        let found = fs::read_dir(root).unwrap().map(|it| it.unwrap().file_name());
        let mut debs: Vec<_> = found.filter_map(|it| it.into_string().ok()).collect();
        debs.retain(|it| Path::new(it).extension().is_some_and(|it| it == "deb"));
        for name in &debs {
            fs::remove_file(root.join(name)).unwrap();
        }
        assert_eq!(debs.len(), 1, "{debs:?}");
        Ok(debs.remove(0))
    }
}

/// `dnf install --downloadonly` with a configuration of its own: what it printed.
pub(crate) fn dnf(site: &Path) -> Result<String, String> {
    let root = tempfile::tempdir().unwrap();
    let (at, site) = (root.path().display(), site.display());
    let configuration = format!(
        "[main]\nreposdir=/nonexistent\ncachedir={at}/cache\npersistdir={at}/persist\nlogdir={at}\n\
         pluginpath=/nonexistent\n[example]\nname=example\nbaseurl=file://{site}\ngpgcheck=0\n\
         repo_gpgcheck=1\ngpgkey=file://{site}/repository.asc\n"
    );
    let file = root.path().join("dnf.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("dnf");
    command.arg("--config").arg(file).args(["--assumeyes", "--releasever", "9"]);
    command.args(["--forcearch", "x86_64", "--installroot"]).arg(root.path().join("root"));
    command.args(["install", "--downloadonly", "--destdir"]).arg(root.path().join("packages"));
    let output = command.arg("example").env("HOME", root.path()).output().unwrap();
    if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    output
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}
