// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gates for packages in images: a workspace with one locked package, and a repository with a
//! security update of it, read by the real apt.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::common::{Answer, Fixture, expect_only, need, path};

const TOOLS: &[&str] = &["apt-cache", "apt-get", "dpkg-deb", "sha256sum", "xz"];

const LOCK: &str = "images.lock";

const RELEASE: &str = r#"
[[base]]
name = "base"
suite = "trixie"
lock = "images.lock"

[gates.licenses.images]
allow = ["ISC"]

[gates.audit]
database = "file:///nowhere/at/all"
grace_days = 14
"#;

const LOCKED: &str = r#"
suite = "trixie"
epoch = 1577836800

[[package]]
image = "amd64"
set = "base"
name = "sudo"
version = "1.9-3"
architecture = "amd64"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[licenses]
"sudo 1.9-3" = "ISC"
"#;

/// An `apt-get` that reports our repository as the security updates of the host's suite and passes
/// everything else to apt, with the repository marked as trusted.
const APT: &str = r#"#!/bin/sh
if [ "$1" = indextargets ]; then
    . /etc/os-release
    echo "file:REPOSITORY/ $VERSION_CODENAME-security main"
    exit
fi
exec APT -o Acquire::AllowInsecureRepositories=true -o APT::Get::AllowUnauthenticated=true "$@"
"#;

const CONTROL: &str = "Package: sudo\nVersion: 1.9-3+deb13u1\nArchitecture: amd64\n\
    Maintainer: A <a@example.org>\nDescription: A package\n";

/// Builds a package with its changelog, and the repository's index.
const BUILD: &str = r#"set -eu
cd "$1"
gzip -n package/usr/share/doc/sudo/changelog.Debian
dpkg-deb --build package sudo.deb > /dev/null
index=dists/trixie-security/main/binary-amd64/Packages
mkdir -p "$(dirname "$index")"
cat package/DEBIAN/control > "$index"
printf 'Filename: sudo.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s sudo.deb)" "$(sha256sum sudo.deb | cut -d ' ' -f 1)" >> "$index"
{
    printf 'Suite: trixie-security\nCodename: trixie-security\nDate: %s\n' "$2"
    printf 'Components: main\nArchitectures: amd64\nSHA256:\n'
    printf ' %s %s main/binary-amd64/Packages\n' "$(sha256sum "$index" | cut -d ' ' -f 1)" "$(stat -c %s "$index")"
} > dists/trixie-security/Release
"#;

/// The workspace, with the lock and a repository that does not exist yet.
struct Images(Fixture);

impl Images {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.append("release.toml", RELEASE);
        fixture.write_with_header(LOCK, LOCKED);
        fixture.commit();
        Self(fixture)
    }

    fn repository(&self) -> std::path::PathBuf {
        self.0.root().join("target/repository")
    }

    /// Creates the repository with an update of the day `made`.
    fn publish(&self, made: &str) {
        let change = format!(
            "sudo (1.9-3+deb13u1) trixie-security; urgency=high\n\n  * Fix CVE-2020-0001\n\n \
             -- A <a@example.org>  {made}\n"
        );
        let package = "target/repository/package";
        self.0.write(&format!("{package}/DEBIAN/control"), CONTROL);
        self.0.write(&format!("{package}/usr/share/doc/sudo/changelog.Debian"), &change);
        let script = ["-c", BUILD, "sh"];
        let status = Command::new("sh").args(script).arg(self.repository()).arg(made).status();
        assert!(status.unwrap().success());
    }

    /// Runs xtask with an apt that uses the repository.
    fn xtask(&self, args: &[&str]) -> Answer {
        let bin = self.0.root().join("target/bin");
        let apt =
            std::env::split_paths(&path()).map(|it| it.join("apt-get")).find(|it| it.is_file());
        let script = APT
            .replace("REPOSITORY", self.repository().to_str().unwrap())
            .replace("APT ", &format!("{} ", apt.unwrap().display()));
        self.0.write("target/bin/apt-get", &script);
        fs::set_permissions(bin.join("apt-get"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut folders = OsString::from(bin);
        folders.push(":");
        folders.push(path());
        Answer(self.0.command(args).env("PATH", folders).output().unwrap())
    }

    /// The gate's fact when it passes.
    #[track_caller]
    fn passes(&self) -> String {
        let answer = self.xtask(&["audit", "--json"]);
        assert_eq!(answer.code(), 0, "{}", answer.err());
        let report: serde_json::Value = serde_json::from_str(&answer.out()).unwrap();
        report["steps"][0]["verdict"]["fact"].as_str().unwrap().to_owned()
    }

    /// Asserts that the update is reported.
    #[track_caller]
    fn fails(&self) {
        let answer = self.xtask(&["audit", "--json"]);
        expect_only(&answer, "audit", LOCK, Some(10), "sudo@1.9-3+deb13u1");
        let message = answer.findings("audit")[0]["message"].to_string();
        assert!(message.contains("trixie-security has 1.9-3+deb13u1"), "{message}");
        assert!(message.contains("CVE-2020-0001"), "{message}");
    }
}

#[test]
fn licenses_fails_on_a_package_of_an_image() {
    let images = Images::new();
    let licenses = || images.xtask(&["licenses", "--json"]);
    assert_eq!(licenses().code(), 0, "{}", licenses().err());
    let line = images.0.replace(LOCK, "= \"ISC\"", "= \"ISC AND CC-BY-NC-4.0\"");
    expect_only(&licenses(), "licenses", LOCK, Some(line), "incompatible-licence");
    images.0.replace(LOCK, "ISC AND CC-BY-NC-4.0", "NOASSERTION");
    expect_only(&licenses(), "licenses", LOCK, Some(line), "no-licence");
    images.0.append("release.toml", "\n[gates.licenses.images.clarify]\nsudo = \"ISC\"\n");
    assert_eq!(licenses().code(), 0, "{}", licenses().err());
    images.0.replace("release.toml", "sudo = \"ISC\"", "doas = \"ISC\"");
    images.0.replace(LOCK, "NOASSERTION", "ISC");
    expect_only(&licenses(), "licenses", "release.toml", None, "stale-clarification");
}

#[test]
fn audit_fails_on_a_package_of_an_image_that_lacks_a_security_update() {
    need!(TOOLS);
    let images = Images::new();
    images.publish("Thu, 02 Jan 2020 00:00:00 +0000");
    let answer = images.xtask(&["validate", "--json"]);
    expect_only(&answer, "audit", LOCK, Some(10), "sudo@1.9-3+deb13u1");
    images.fails();

    let mitigation = "\n[[gates.audit.mitigation]]\nid = \"sudo@1.9-3+deb13u1\"\n\
                      reason = \"a test\"\nexpires = \"2999-01-01\"\n";
    images.0.append("release.toml", mitigation);
    images.passes();
    images.0.replace("release.toml", "2999-01-01", "2020-01-01");
    images.fails();

    // A mitigation is stale once the package is up to date.
    images.0.replace(LOCK, "version = \"1.9-3\"", "version = \"1.9-3+deb13u1\"");
    let answer = images.xtask(&["audit", "--json"]);
    expect_only(&answer, "audit", "release.toml", None, "stale-mitigation");
}

#[test]
fn a_security_update_may_wait_for_some_days() {
    need!(TOOLS);
    let images = Images::new();
    let output = Command::new("date").args(["--utc", "--rfc-email"]).output().unwrap();
    images.publish(String::from_utf8(output.stdout).unwrap().trim());
    let fact = images.passes();
    assert!(fact.ends_with(", 1 within the grace period"), "{fact}");
    images.0.replace("release.toml", "grace_days = 14", "grace_days = 0");
    images.fails();
}

#[test]
fn security_updates_that_can_not_be_fetched_are_those_of_the_last_time_with_their_age() {
    need!(TOOLS);
    let images = Images::new();
    // Without an index the packages are not checked, and the gate reports that.
    let answer = images.xtask(&["audit"]);
    assert_eq!(answer.code(), 3, "{}", answer.err());
    let gap = "packages not checked: cannot read an index of trixie-security (amd64)";
    assert!(answer.out().contains(gap), "{}", answer.out());
    images.publish("Thu, 02 Jan 2020 00:00:00 +0000");
    images.fails();
    // A day later the repository is gone: the cached index is used, without the changelog.
    fs::rename(images.repository(), images.repository().with_extension("gone")).unwrap();
    let stamp = images.0.root().join("target/xtask/apt/trixie-security-amd64/fetched");
    age(&stamp);
    let answer = images.xtask(&["audit", "--json"]);
    expect_only(&answer, "audit", LOCK, Some(10), "sudo@1.9-3+deb13u1");
    images.0.replace(LOCK, "version = \"1.9-3\"", "version = \"1.9-4\"");
    test_support::assert_contains(images.passes(), "security updates of 2020-01-02");
}

/// Backdates a file.
fn age(file: &Path) {
    fs::File::open(file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}
