// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A small release for tests: a binary, packages, images and their SBOMs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mock_sigstore::oracle;
use oci::Digest;
use release::{Architecture, Channel, Manifest, Source, layout};
use signing::{PrivateKey, PublicKey, Sha256, keyfile};
use tempfile::TempDir;
use test_support::folder::tree;
use verify::cli::PRODUCT;
use verify::{Policy, Report};

/// Files of the release.
pub(crate) const BINARY: &str = mock_release::BINARY;
pub(crate) const PACKAGE: &str = mock_release::PACKAGE;
pub(crate) const DEB: &str = mock_release::DEB;
pub(crate) const RPM: &str = mock_release::RPM;
pub(crate) const DEBUG: &str = mock_release::DEBUG;
/// The image's repository.
pub(crate) const IMAGE: &str = "tools/example";
/// The image of the maintenance OS, for two architectures.
pub(crate) const SYSTEM: &str = "maintenance-os";
/// Its live ISO.
pub(crate) const ISO: &str = "iso/maintenance_v0.1.0-snapshot.c0ffee_x86_64.iso";
const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const VERSION: &str = "0.1.0-snapshot.c0ffee";

/// A release in a temporary folder.
pub(crate) struct Release {
    temporary: TempDir,
}

impl Release {
    /// An unsigned release; `salt` varies its content.
    pub(crate) fn create_unsigned(channel: Channel, salt: &str) -> Self {
        Self::create_unsigned_for(&[Architecture::Amd64], channel, salt)
    }

    /// The same, with an image for each of `architectures`.
    pub(crate) fn create_unsigned_for(
        architectures: &[Architecture],
        channel: Channel,
        salt: &str,
    ) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        release.fill(&[(IMAGE, architectures)], &[], channel, salt);
        release
    }

    /// The release `version`, not signed yet; `packages` as in [`mock_release::Content`].
    pub(crate) fn version(version: &str, channel: Channel, packages: Option<[Vec<u8>; 2]>) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        let images: &[(&str, &[Architecture])] = &[(IMAGE, &[Architecture::Amd64])];
        release.fill_as(version, images, &[], channel, version, packages);
        release
    }

    /// A snapshot that includes the maintenance OS and its ISO, signed and attested with `key`.
    pub(crate) fn create_signed_with_system(key: &PrivateKey, salt: &str) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        let both = [Architecture::Amd64, Architecture::Arm64];
        let images = [(IMAGE, &both[..1]), (SYSTEM, &both[..])];
        release.fill(&images, &[ISO], Channel::Snapshot, salt);
        release.sign(key);
        release
    }

    /// A snapshot, signed and attested with `key`.
    pub(crate) fn create_signed(key: &PrivateKey, salt: &str) -> Self {
        let release = Self::create_unsigned(Channel::Snapshot, salt);
        release.sign(key);
        release
    }

    /// Signs and attests with `key`.
    pub(crate) fn sign(&self, key: &PrivateKey) {
        self.sign_with(&KeyFile::new(key));
    }

    /// Same, with the key in `file`.
    pub(crate) fn sign_with(&self, file: &KeyFile) {
        for verb in ["sign", "attest"] {
            expect_success(&self.notary(verb, Some(file)));
        }
    }

    /// `notary publish --to PLACE --release DIR`
    pub(crate) fn publish(&self, to: &str) -> Command {
        let mut command = notary();
        command.args(["publish", "--to", to, "--release"]).arg(self.root());
        command
    }

    pub(crate) fn root(&self) -> &Path {
        self.temporary.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// `notary VERB --release DIR`, with `key` in the environment.
    pub(crate) fn notary(&self, verb: &str, key: Option<&KeyFile>) -> Output {
        let mut command = notary();
        command.arg(verb).arg("--release").arg(self.root());
        if let Some(key) = key {
            command.env("XTASK_SIGNING_KEY", key.path()).env("COSIGN_PASSWORD", "");
        }
        command.output().unwrap()
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::parse(&fs::read(self.path(layout::MANIFEST)).unwrap()).unwrap()
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Report {
        verify::folder(self.root(), key, &Policy::default()).unwrap()
    }

    /// Verifies every bundle with the reference implementation.
    pub(crate) fn compare_with_oracle(
        &self,
        oracle: impl Fn(&[u8], &Sha256) -> Result<(), String>,
    ) {
        for path in self.files().iter().filter(|path| path.ends_with(".sigstore.json")) {
            let bundle = fs::read(self.path(path)).unwrap();
            assert_eq!(oracle(&bundle, &oracle::digest_in(&bundle)), Ok(()), "{path}");
        }
    }

    /// All files, relative to the folder and sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let paths = tree(self.root()).into_keys();
        let mut paths: Vec<_> = paths.map(|it| it.to_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    }

    /// A copy to modify.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { temporary: tempfile::tempdir().unwrap() };
        for file in self.files() {
            copy.put(&file, &fs::read(self.path(&file)).unwrap());
        }
        copy
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn fill(
        &self,
        images: &[(&str, &[Architecture])],
        isos: &[&str],
        channel: Channel,
        salt: &str,
    ) {
        let version = match channel {
            Channel::Snapshot => VERSION,
            Channel::Candidate => "0.1.0-rc.1",
            Channel::Stable => "0.1.0",
        };
        self.fill_as(version, images, isos, channel, salt, None);
    }

    fn fill_as(
        &self,
        version: &str,
        images: &[(&str, &[Architecture])],
        isos: &[&str],
        channel: Channel,
        salt: &str,
        packages: Option<[Vec<u8>; 2]>,
    ) {
        let source = Source {
            uri: "https://example.org/source".to_owned(),
            commit: COMMIT.to_owned(),
            dirty: false,
        };
        let content = mock_release::Content {
            product: PRODUCT,
            version,
            channel,
            source,
            epoch: 1_700_000_000,
            salt,
            images,
            isos,
            packages,
        };
        mock_release::write(self.root(), &content).unwrap();
    }
}

/// A private key in a file, without a password.
pub(crate) struct KeyFile(TempDir);

impl KeyFile {
    pub(crate) fn new(key: &PrivateKey) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.key"), keyfile::encrypt(key, b"").unwrap()).unwrap();
        let public = key.public().to_pem().unwrap();
        fs::write(folder.path().join("test.pub"), public).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("test.key")
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.0.path().join("test.pub")
    }
}

/// `notary` without keys in its environment.
pub(crate) fn notary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notary"));
    command.env_remove("XTASK_SIGNING_KEY");
    command.env_remove("COSIGN_PASSWORD").env_remove("COSIGN_PASSWORD_FILE");
    // Registries of tests fail at once, so pauses before retries are lost time.
    command.env(oci::client::DELAY, "1");
    command
}

pub(crate) fn expect_success(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// The program's error output; fails if it succeeded.
pub(crate) fn expect_failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex().to_owned()
}
