// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A small release for tests: a binary, packages, images and their SBOMs.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mock_sigstore::oracle;
use oci::spec::{ANNOTATION_REF_NAME, Descriptor};
use oci::{Digest, Layout, media_type};
use release::layout::{self, SbomFormat};
use release::{
    Architecture, Artifact, ArtifactKind, Channel, Image, Manifest, Material, Reproduced, Source,
};
use serde_json::{Value, json};
use signing::{PrivateKey, PublicKey, Sha256, keyfile};
use tempfile::TempDir;
use verify::cli::PRODUCT;
use verify::{Policy, Report};

/// The image's repository.
pub(crate) const IMAGE: &str = "tools/example";
/// The binary.
pub(crate) const BINARY: &str = "dispatcher_v0.1.0-snapshot.c0ffee_linux_amd64";
/// The package.
pub(crate) const PACKAGE: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.tar.gz";
/// Distribution packages.
pub(crate) const DEB: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.deb";
pub(crate) const RPM: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.rpm";
/// The image of the maintenance OS, for two architectures.
pub(crate) const SYSTEM: &str = "maintenance-os";
/// Its live ISO.
pub(crate) const ISO: &str = "iso/maintenance_v0.1.0-snapshot.c0ffee_x86_64.iso";
/// The debug information of the binary.
pub(crate) const DEBUG: &str = "dispatcher_v0.1.0-snapshot.c0ffee_linux_amd64.debug";
const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const VERSION: &str = "0.1.0-snapshot.c0ffee";

/// A release in a temporary folder.
pub(crate) struct Release {
    temporary: TempDir,
}

impl Release {
    /// An unsigned release; `salt` varies its content.
    pub(crate) fn unsigned(channel: Channel, salt: &str) -> Self {
        Self::unsigned_for(&[Architecture::Amd64], channel, salt)
    }

    /// The same, with an image for each of `architectures`.
    pub(crate) fn unsigned_for(
        architectures: &[Architecture],
        channel: Channel,
        salt: &str,
    ) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        release.fill(&[(IMAGE, architectures)], &[], channel, salt);
        release
    }

    /// The release `version`, not signed yet.
    pub(crate) fn version(version: &str, channel: Channel) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        let images: &[(&str, &[Architecture])] = &[(IMAGE, &[Architecture::Amd64])];
        release.fill_as(version, images, &[], channel, version);
        release
    }

    /// A snapshot that includes the maintenance OS and its ISO, signed and attested with `key`.
    pub(crate) fn signed_with_system(key: &PrivateKey, salt: &str) -> Self {
        let release = Self { temporary: tempfile::tempdir().unwrap() };
        let both = [Architecture::Amd64, Architecture::Arm64];
        let images = [(IMAGE, &both[..1]), (SYSTEM, &both[..])];
        release.fill(&images, &[ISO], Channel::Snapshot, salt);
        release.sign(key);
        release
    }

    /// A snapshot, signed and attested with `key`.
    pub(crate) fn signed(key: &PrivateKey, salt: &str) -> Self {
        let release = Self::unsigned(Channel::Snapshot, salt);
        release.sign(key);
        release
    }

    /// Signs and attests with `key`.
    pub(crate) fn sign(&self, key: &PrivateKey) {
        let file = KeyFile::new(key);
        for verb in ["sign", "attest"] {
            succeeded(&self.notary(verb, Some(&file)));
        }
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
        let mut found = Vec::new();
        list(self.root(), "", &mut found);
        found.sort();
        found
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
        self.fill_as(version, images, isos, channel, salt);
    }

    fn fill_as(
        &self,
        version: &str,
        images: &[(&str, &[Architecture])],
        isos: &[&str],
        channel: Channel,
        salt: &str,
    ) {
        let source = Source {
            uri: "https://example.org/source".to_owned(),
            commit: COMMIT.to_owned(),
            dirty: false,
        };
        let mut manifest =
            Manifest::new(PRODUCT.to_owned(), version.to_owned(), channel, source, 1_700_000_000);
        manifest.materials.push(Material {
            uri: format!("git+https://example.org/source@{COMMIT}"),
            digest: BTreeMap::from([("gitCommit".to_owned(), COMMIT.to_owned())]),
        });
        manifest.materials.push(Material {
            uri: "file:Cargo.lock".to_owned(),
            digest: BTreeMap::from([("sha256".to_owned(), sha256(b"lock"))]),
        });
        let engine = release::Engine { name: "native".to_owned(), version: version.to_owned() };
        manifest.engines.insert("signatures".to_owned(), engine);

        let binary = format!("binary {salt}").into_bytes();
        let package = package(format!("executable {salt}").as_bytes());
        let deb = format!("!<arch>\ndebian {salt}").into_bytes();
        let rpm = format!("\u{ed}rpm {salt}").into_bytes();
        for (name, architectures) in images {
            manifest.images.push(self.image(name, architectures, salt, version));
        }
        let mut described = vec![
            (BINARY, sha256(&binary)),
            (PACKAGE, sha256(&package)),
            (DEB, sha256(&deb)),
            (RPM, sha256(&rpm)),
        ];
        for ((name, _), image) in images.iter().zip(&manifest.images) {
            described.push((name, image.digest.replace("sha256:", "")));
        }
        let mut add = |path: &str, kind, describes: Option<&str>, bytes: &[u8]| {
            self.put(path, bytes);
            manifest.artifacts.push(Artifact {
                path: path.to_owned(),
                kind,
                architecture: matches!(kind, ArtifactKind::Binary | ArtifactKind::Iso)
                    .then_some(Architecture::Amd64),
                describes: describes.map(str::to_owned),
                size: bytes.len() as u64,
                sha256: sha256(bytes),
            });
        };
        add(BINARY, ArtifactKind::Binary, None, &binary);
        add(PACKAGE, ArtifactKind::Package, None, &package);
        add(DEB, ArtifactKind::Package, None, &deb);
        add(RPM, ArtifactKind::Package, None, &rpm);
        add(DEBUG, ArtifactKind::Debug, None, format!("debug {salt}").as_bytes());
        for iso in isos {
            let bytes = format!("CD001 {salt}").into_bytes();
            add(iso, ArtifactKind::Iso, None, &bytes);
            described.push((iso, sha256(&bytes)));
        }
        for (name, digest) in described {
            for format in SbomFormat::ALL {
                let bytes = document(format, name, &digest).to_string().into_bytes();
                add(&layout::sbom(name, format), ArtifactKind::Sbom, Some(name), &bytes);
            }
        }
        let mut lines: Vec<_> =
            manifest.artifacts.iter().map(|a| (a.path.clone(), a.sha256.clone())).collect();
        lines.sort();
        let lines: Vec<_> = lines.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect();
        let sums = lines.concat();
        self.put(layout::CHECKSUMS, sums.as_bytes());
        manifest.artifacts.push(Artifact {
            path: layout::CHECKSUMS.to_owned(),
            kind: ArtifactKind::Checksums,
            architecture: None,
            describes: None,
            size: sums.len() as u64,
            sha256: sha256(sums.as_bytes()),
        });
        let files = manifest.artifacts.iter().map(|file| file.path.clone());
        manifest.reproduced = Some(Reproduced {
            variations: vec!["clock".to_owned(), "umask".to_owned()],
            identical: files.collect(),
            different: vec![manifest.images[0].layout.clone()],
            not_tried: BTreeMap::from([("clock".to_owned(), vec![BINARY.to_owned()])]),
        });
        self.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    }

    fn image(
        &self,
        name: &str,
        architectures: &[Architecture],
        salt: &str,
        version: &str,
    ) -> Image {
        let place = format!("{}/{name}", layout::IMAGES);
        let folder = Layout::create(self.path(&place)).unwrap();
        let layer_bytes = layer(salt);
        let layer = folder.write_blob(media_type::IMAGE_LAYER, layer_bytes.as_slice()).unwrap();
        let part = |architecture: &Architecture| -> Value {
            let config = json!({
                "architecture": architecture.oci(),
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer.digest().to_string()]},
            });
            let config = folder.write_json(media_type::IMAGE_CONFIG, &config).unwrap();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": media_type::IMAGE_MANIFEST,
                "config": config,
                "layers": [layer],
            });
            let manifest = folder.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
            let mut part = serde_json::to_value(manifest).unwrap();
            part["platform"] = json!({"architecture": architecture.oci(), "os": "linux"});
            part
        };
        let mut parts: Vec<Value> = architectures.iter().map(part).collect();
        let (kind, mut root): (_, Descriptor) = if parts.len() == 1 {
            let mut root = parts.remove(0);
            root.as_object_mut().unwrap().remove("platform");
            (media_type::IMAGE_MANIFEST, serde_json::from_value(root).unwrap())
        } else {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": media_type::IMAGE_INDEX,
                "manifests": parts,
            });
            (media_type::IMAGE_INDEX, folder.write_json(media_type::IMAGE_INDEX, &index).unwrap())
        };
        let tag = layout::tag(version);
        root.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), tag.clone())].into()));
        let digest = root.digest().to_string();
        folder.write_index(vec![root]).unwrap();
        Image {
            repository: name.to_owned(),
            layout: place,
            digest,
            media_type: kind.to_owned(),
            architectures: architectures.to_vec(),
            tags: vec![tag],
        }
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

pub(crate) fn succeeded(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// The program's error output; fails if it succeeded.
pub(crate) fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex().to_owned()
}

/// An SBOM with the fields that the verifier reads.
fn document(format: SbomFormat, name: &str, sha256: &str) -> Value {
    match format {
        SbomFormat::CycloneDx => json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "metadata": {"component": {
                "type": "application",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }},
        }),
        SbomFormat::Spdx => json!({
            "spdxVersion": "SPDX-2.3",
            "packages": [{
                "SPDXID": "SPDXRef-1",
                "name": name,
                "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
            }],
            "relationships": [{
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-1",
            }],
        }),
        SbomFormat::Spdx3 => json!({
            "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
            "@graph": [
                {"type": "software_Sbom", "spdxId": "urn:sbom", "rootElement": ["urn:1"]},
                {
                    "type": "software_Package",
                    "spdxId": "urn:1",
                    "name": name,
                    "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": sha256}],
                },
            ],
        }),
    }
}

/// A package archive, as in a release.
fn package(executable: &[u8]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    append(&mut archive, "controller/controller", executable);
    append(&mut archive, "controller/LICENSE", b"AGPL");
    archive.into_inner().unwrap().finish().unwrap()
}

fn layer(salt: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "etc/example", salt.as_bytes());
    archive.into_inner().unwrap()
}

fn append(archive: &mut tar::Builder<impl std::io::Write>, path: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append_data(&mut header, path, bytes).unwrap();
}

fn list(root: &Path, folder: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            list(root, &path, into);
        } else {
            into.push(path);
        }
    }
}
