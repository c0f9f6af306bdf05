// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! apt and dnf read the repositories, and refuse changed ones.

use std::process::Output;

use release::{Artifact, ArtifactKind, Source};

use super::*;

const EPOCH: u64 = 1_700_000_000;

/// A site with a stable release and a candidate, and a key.
struct Site {
    folder: TempDir,
    versions: Vec<Manifest>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let versions = vec![
            release(folder.path(), "1.1.0-rc.1", Channel::Candidate),
            release(folder.path(), "1.0.0", Channel::Stable),
        ];
        let site = Self { folder, versions };
        site.make_key("one");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_key(&self, name: &str) -> PathBuf {
        let home = tempfile::tempdir().unwrap();
        let signer = Signer(home);
        let generate = ["--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "never"];
        run(signer.gpg().args(generate)).unwrap();
        let secret = run(signer.gpg().args(["--armor", "--export-secret-keys"])).unwrap();
        let path = self.path(&format!("{name}.key"));
        fs::write(&path, secret).unwrap();
        path
    }

    fn publish(&self, key: &str) -> Written {
        publish(self.folder.path(), &self.versions, &self.path(&format!("{key}.key"))).unwrap()
    }

    /// `apt-get update` and `download` with a configuration of their own.
    fn apt(&self) -> Output {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["lists/partial", "cache/archives/partial", "etc"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("status"), "").unwrap();
        let public = self.path(PUBLIC);
        let source = format!(
            "deb [arch=amd64 signed-by={}] file:{} stable main\n",
            public.display(),
            self.folder.path().display()
        );
        fs::write(at("etc/sources.list"), source).unwrap();
        let text = format!(
            "Dir::State \"{0}\"; Dir::State::lists \"{0}/lists\"; Dir::State::status \"{0}/status\";\n\
             Dir::Cache \"{0}/cache\"; Dir::Etc \"{0}/etc\"; Acquire::Languages \"none\";\n\
             APT::Architecture \"amd64\"; APT::Sandbox::User \"root\";\n",
            root.path().display()
        );
        fs::write(at("apt.conf"), text).unwrap();
        let call = |words: &[&str]| {
            let mut command = Command::new("apt-get");
            command.env("APT_CONFIG", at("apt.conf")).current_dir(root.path());
            command.args(words).output().unwrap()
        };
        let updated = call(&["update", "--error-on=any"]);
        if !updated.status.success() {
            return updated;
        }
        let output = call(&["download", "example"]);
        let found = fs::read_dir(root.path()).unwrap().filter_map(Result::ok);
        let count = found.filter(|it| it.path().extension().is_some_and(|it| it == "deb")).count();
        // A file: source needs no copy of a package, but `download` makes one.
        assert_eq!(count, usize::from(output.status.success()), "{output:?}");
        output
    }

    /// `dnf install --downloadonly` with a configuration of its own.
    fn dnf(&self) -> Output {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().display();
        let site = self.folder.path().display();
        let text = format!(
            "[main]\nreposdir=/nonexistent\ncachedir={at}/cache\npersistdir={at}/persist\nlogdir={at}\n\
             pluginpath=/nonexistent\n[example]\nname=example\nbaseurl=file://{site}\ngpgcheck=0\n\
             repo_gpgcheck=1\ngpgkey=file://{site}/{PUBLIC}\n"
        );
        let configuration = root.path().join("dnf.conf");
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("dnf");
        command.arg("--config").arg(configuration).args(["--assumeyes", "--releasever", "9"]);
        command.args(["--forcearch", "x86_64", "--installroot"]).arg(root.path().join("root"));
        command.args(["install", "--downloadonly", "--destdir"]).arg(root.path().join("packages"));
        command.arg("example").env("HOME", root.path()).output().unwrap()
    }
}

fn release(site: &Path, version: &str, channel: Channel) -> Manifest {
    let folder = site.join(layout::tag(version));
    let uri = "https://example.org/source".to_owned();
    let source = Source { uri, commit: "c0ffee".to_owned(), dirty: false };
    let mut manifest =
        Manifest::new("product".to_owned(), version.to_owned(), channel, source, EPOCH);
    let text = format!(
        "Package: example\nVersion: {}\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: x\n",
        version.replace('-', "~")
    );
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("DEBIAN")).unwrap();
    fs::write(tree.path().join("DEBIAN/control"), text).unwrap();
    fs::create_dir_all(&folder).unwrap();
    let names = ["deb", "rpm"].map(|it| format!("example_v{version}_linux_amd64.{it}"));
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "--build"]).arg(tree.path()).arg(folder.join(&names[0]));
    run(build.env("SOURCE_DATE_EPOCH", EPOCH.to_string())).unwrap();
    let version = version.replace('-', "~");
    let mut package = rpm::PackageBuilder::new("example", &version, "MIT", "x86_64", "x");
    let time = u32::try_from(EPOCH).unwrap();
    package.using_config(rpm::BuildConfig::v4().source_date(time)).release("1");
    package.build().unwrap().write(&mut File::create(folder.join(&names[1])).unwrap()).unwrap();
    for path in names {
        let (digest, size) =
            oci::Digest::sha256_of(File::open(folder.join(&path)).unwrap()).unwrap();
        manifest.artifacts.push(Artifact {
            path,
            kind: ArtifactKind::Package,
            architecture: None,
            describes: None,
            size,
            sha256: digest.hex().to_owned(),
        });
    }
    manifest
}

fn has_programs(judge: &str) -> bool {
    test_support::have(&["apt-ftparchive", "createrepo_c", "dpkg-deb", "gpg", judge])
}

/// Changes one byte of the file.
fn damage(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    assert!(before.contains(text), "{before}");
    fs::write(path, before.replacen(text, "another", 1)).unwrap();
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn apt_accepts_the_repository_and_no_changed_one() {
    if !has_programs("apt-get") {
        return;
    }
    let site = Site::new();
    assert!(matches!(site.publish("one"), Written::Files(1..)));
    let output = site.apt();
    assert!(output.status.success(), "{}", text(&output));
    let packages = fs::read_to_string(site.path("dists/stable/main/binary-amd64/Packages"));
    let packages = packages.unwrap();
    assert!(packages.contains("v1.0.0/example_v1.0.0_linux_amd64.deb"), "{packages}");
    assert!(!packages.contains("rc.1"), "candidates are not in it: {packages}");

    for (name, changed) in [
        ("dists/stable/main/binary-amd64/Packages", "example"),
        ("dists/stable/InRelease", "product"),
    ] {
        damage(&site.path(name), changed);
        let output = site.apt();
        assert!(!output.status.success(), "{name}: {}", text(&output));
        // The next run repairs it.
        assert!(matches!(site.publish("one"), Written::Files(1..)));
        assert!(site.apt().status.success(), "{name}");
    }
    // The public key is that of somebody else.
    site.make_key("two");
    let signature = fs::read(site.path("dists/stable/InRelease")).unwrap();
    assert!(matches!(site.publish("two"), Written::Files(1..)));
    fs::write(site.path("dists/stable/InRelease"), signature).unwrap();
    assert!(!site.apt().status.success());
}

#[test]
fn dnf_accepts_the_repository_and_no_changed_one() {
    if !has_programs("dnf") {
        return;
    }
    let site = Site::new();
    site.publish("one");
    let output = site.dnf();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("1.0.0-1"), "{}", text(&output));
    damage(&site.path("repodata/repomd.xml"), "1700000000");
    let output = site.dnf();
    assert!(!output.status.success(), "{}", text(&output));
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
    assert_eq!(one.publish("one"), Written::Files(0));
    // Another key signs the same metadata.
    one.make_key("two");
    assert_eq!(one.publish("two"), Written::Files(4), "the public key and three signatures");

    fs::write(one.path("bad.key"), "no key").unwrap();
    let error = publish(one.folder.path(), &one.versions, &one.path("bad.key")).unwrap_err();
    assert!(format!("{error:#}").contains(KEY), "{error:#}");
}

#[test]
fn missing_programs_are_named_with_their_packages() {
    let missing = Written::Skipped(vec![("apt-ftparchive", "apt-utils"), ("gpg", "gpg")]);
    assert_eq!(
        missing.to_string(),
        "skipped, not installed: apt-ftparchive, gpg; fix: apt-get install apt-utils gpg"
    );
}
