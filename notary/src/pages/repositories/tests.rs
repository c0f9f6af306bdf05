// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! apt and dnf read the repositories, and refuse changed ones.

#[path = "../../../tests/it/packages.rs"]
mod packages;

use release::channels::Yank;
use release::{Artifact, ArtifactKind, Source};
use tempfile::TempDir;

use self::packages::{Apt, has_programs};
use super::*;

/// A site with a stable release and a candidate, and a key.
struct Site {
    folder: TempDir,
    versions: Vec<Manifest>,
    yanked: Yanked,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let versions = vec![
            release(folder.path(), "1.1.0-rc.1", Channel::Candidate),
            release(folder.path(), "1.0.0", Channel::Stable),
        ];
        let site = Self { folder, versions, yanked: Yanked::default() };
        site.make_key("one", "");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_key(&self, name: &str, password: &str) {
        let path = self.path(&format!("{name}.key"));
        fs::write(path, packages::secret_key(name, password)).unwrap();
    }

    fn publish(&self, key: &str) -> RepositoryUpdate {
        self.publish_with(key, None).unwrap()
    }

    fn publish_with(&self, key: &str, password: Option<PathBuf>) -> Result<RepositoryUpdate> {
        let key = Key { file: self.path(&format!("{key}.key")), password };
        publish(self.folder.path(), &self.versions, &self.yanked, &key)
    }

    /// Yanks a release at a time after it.
    fn yank(&mut self, version: &str) {
        let since = u64::from(packages::EPOCH) + 1;
        let yank = Yank { reason: "x".to_owned(), since, by: "me".to_owned() };
        self.yanked.add(self.folder.path(), version, yank).unwrap();
    }

    /// Downloads the package with apt on a new host.
    fn apt(&self) -> Result<String, String> {
        Apt::new(self.folder.path()).download()
    }

    fn dnf(&self) -> Result<String, String> {
        packages::dnf(self.folder.path())
    }
}

fn release(site: &Path, version: &str, channel: Channel) -> Manifest {
    let folder = site.join(layout::tag(version));
    let uri = "https://example.org/source".to_owned();
    let source = Source { uri, commit: "c0ffee".to_owned(), dirty: false };
    let epoch = packages::EPOCH.into();
    let mut manifest =
        Manifest::new("product".to_owned(), version.to_owned(), channel, source, epoch);
    fs::create_dir_all(&folder).unwrap();
    for (ending, bytes) in [("deb", packages::deb(version)), ("rpm", packages::rpm(version))] {
        let path = format!("example_v{version}_linux_amd64.{ending}");
        fs::write(folder.join(&path), &bytes).unwrap();
        manifest.artifacts.push(Artifact {
            path,
            kind: ArtifactKind::Package,
            architecture: None,
            describes: None,
            size: bytes.len() as u64,
            sha256: oci::Digest::sha256(&bytes).hex().to_owned(),
        });
    }
    manifest
}

/// Changes one byte of the file.
fn damage(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    assert!(before.contains(text), "{before}");
    fs::write(path, before.replacen(text, "another", 1)).unwrap();
}

#[test]
fn apt_accepts_the_repository_and_no_changed_one() {
    if !has_programs("apt-get") {
        return;
    }
    let site = Site::new();
    assert!(matches!(site.publish("one"), RepositoryUpdate::Files(1..)));
    assert_eq!(site.apt().unwrap(), "example_1.0.0_amd64.deb");
    let packages = fs::read_to_string(site.path("dists/stable/main/binary-amd64/Packages"));
    let packages = packages.unwrap();
    assert!(packages.contains("v1.0.0/example_v1.0.0_linux_amd64.deb"), "{packages}");
    assert!(!packages.contains("rc.1"), "candidates are not in it: {packages}");

    for (name, changed) in [
        ("dists/stable/main/binary-amd64/Packages", "example"),
        ("dists/stable/InRelease", "product"),
    ] {
        damage(&site.path(name), changed);
        assert!(site.apt().is_err(), "{name}");
        // The next run repairs it.
        assert!(matches!(site.publish("one"), RepositoryUpdate::Files(1..)));
        site.apt().unwrap();
    }
    // The public key is that of somebody else.
    site.make_key("two", "");
    let signature = fs::read(site.path("dists/stable/InRelease")).unwrap();
    assert!(matches!(site.publish("two"), RepositoryUpdate::Files(1..)));
    fs::write(site.path("dists/stable/InRelease"), signature).unwrap();
    assert!(site.apt().is_err());
}

#[test]
fn dnf_accepts_the_repository_and_no_changed_one() {
    if !has_programs("dnf") {
        return;
    }
    let site = Site::new();
    site.publish("one");
    let printed = site.dnf().unwrap();
    assert!(printed.contains("1.0.0-1"), "{printed}");
    damage(&site.path("repodata/repomd.xml"), "1700000000");
    assert!(site.dnf().is_err());
}

#[test]
fn a_yanked_release_leaves_the_repositories() {
    if !has_programs("apt-get") || !has_programs("dnf") {
        return;
    }
    let mut site = Site::new();
    site.versions.insert(0, release(site.folder.path(), "1.0.1", Channel::Stable));
    site.publish("one");
    // A host that has seen the release before.
    let host = Apt::new(site.folder.path());
    assert_eq!(host.download().unwrap(), "example_1.0.1_amd64.deb");
    assert!(site.dnf().unwrap().contains("1.0.1-1"));
    site.yank("1.0.1");
    assert!(matches!(site.publish("one"), RepositoryUpdate::Files(1..)));
    assert_eq!(host.download().unwrap(), "example_1.0.0_amd64.deb");
    let printed = site.dnf().unwrap();
    assert!(printed.contains("1.0.0-1") && !printed.contains("1.0.1-1"), "{printed}");
    assert_eq!(site.publish("one"), RepositoryUpdate::Files(0));
    assert!(site.path("v1.0.1/example_v1.0.1_linux_amd64.deb").exists());
    // Nothing is left: the repositories are empty.
    site.yank("1.0.0");
    assert!(matches!(site.publish("one"), RepositoryUpdate::Files(1..)));
    assert!(host.download().is_err() && site.dnf().is_err());
}

#[test]
fn a_key_with_a_password_signs_with_its_file_only() {
    if !has_programs("apt-get") {
        return;
    }
    let site = Site::new();
    let password = site.path("password");
    fs::write(&password, "open sesame\n").unwrap();
    site.make_key("locked", "open sesame");
    let wrong = site.path("wrong");
    fs::write(&wrong, "closed").unwrap();
    for given in [None, Some(wrong), Some(site.path("absent"))] {
        let error = format!("{:#}", site.publish_with("locked", given).unwrap_err());
        assert!(error.contains("password"), "{error}");
        assert!(!site.path("dists").exists() && !site.path("repodata").exists());
    }
    site.publish_with("locked", Some(password.clone())).unwrap();
    site.apt().unwrap();
    // A key without a password needs none, and ignores a file.
    assert_eq!(site.publish_with("one", Some(password)).unwrap(), RepositoryUpdate::Files(4));
}

#[test]
fn equal_sites_have_equal_metadata_and_a_rerun_writes_nothing() {
    if !has_programs("gpg") {
        return;
    }
    let (one, two) = (Site::new(), Site::new());
    one.publish("one");
    two.publish("one");
    for name in [
        "dists/stable/Release",
        "dists/stable/main/binary-amd64/Packages",
        "repodata/primary.xml.gz",
        "repodata/repomd.xml",
    ] {
        assert_eq!(fs::read(one.path(name)).unwrap(), fs::read(two.path(name)).unwrap(), "{name}");
    }
    assert_eq!(one.publish("one"), RepositoryUpdate::Files(0));
    // Another key signs the same metadata.
    one.make_key("two", "");
    assert_eq!(
        one.publish("two"),
        RepositoryUpdate::Files(4),
        "the public key and three signatures"
    );

    fs::write(one.path("bad.key"), "no key").unwrap();
    let error = one.publish_with("bad", None).unwrap_err();
    assert!(format!("{error:#}").contains(KEY), "{error:#}");
}

#[test]
fn missing_programs_are_named_with_their_packages() {
    let missing = RepositoryUpdate::Skipped(vec![("apt-ftparchive", "apt-utils"), ("gpg", "gpg")]);
    assert_eq!(
        missing.to_string(),
        "skipped, not installed: apt-ftparchive, gpg; fix: apt-get install apt-utils gpg"
    );
}
