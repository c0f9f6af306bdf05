// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes a small unsigned release: a binary, packages, images, and their SBOMs. For tests of the notary, and
//! for rehearsals of a release that build nothing.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::spec::{ANNOTATION_REF_NAME, Descriptor};
use oci::{Digest, Layout, media_type};
use release::layout::{self, SbomFormat};
use release::{
    Architecture, Artifact, ArtifactKind, Channel, Engine, Image, Manifest, Material, Reproduced,
    Source,
};
use serde_json::{Value, json};

/// The binary.
pub const BINARY: &str = "dispatcher_v0.1.0-snapshot.c0ffee_linux_amd64";
/// The package.
pub const PACKAGE: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.tar.gz";
/// Distribution packages.
pub const DEB: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.deb";
/// See [`DEB`].
pub const RPM: &str = "controller_v0.1.0-snapshot.c0ffee_linux_amd64.rpm";
/// Debug information of the binary.
pub const DEBUG: &str = "dispatcher_v0.1.0-snapshot.c0ffee_linux_amd64.debug";

/// An image of the release: its repository, and its architectures.
pub type ImageOf<'a> = (&'a str, &'a [Architecture]);

/// Contents of a release.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// Product name.
    pub product: &'a str,
    /// Version without a leading `v`.
    pub version: &'a str,
    /// Channel of the version.
    pub channel: Channel,
    /// Source in the manifest.
    pub source: Source,
    /// Time in the manifest, in seconds since 1970.
    pub epoch: u64,
    /// Varies the content of all files.
    pub salt: &'a str,
    /// Images. At least one.
    pub images: &'a [ImageOf<'a>],
    /// Paths of ISOs.
    pub isos: &'a [&'a str],
    /// Bytes of [`DEB`] and [`RPM`]; without them, no package manager reads these.
    pub packages: Option<[Vec<u8>; 2]>,
}

/// Writes the release to `root`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(root: &Path, content: &Content<'_>) -> Result<()> {
    let Content { product, version, channel, source, epoch, salt, images, isos, packages } =
        content;
    let mut manifest = Manifest::new(
        (*product).to_owned(),
        (*version).to_owned(),
        *channel,
        source.clone(),
        *epoch,
    );
    manifest.materials = materials(source);
    let engine = Engine { name: "native".to_owned(), version: (*version).to_owned() };
    manifest.engines.insert("signatures".to_owned(), engine);
    for (name, architectures) in *images {
        manifest.images.push(image(root, name, architectures, salt, version)?);
    }
    let mut folder = Folder { root: root.to_owned(), artifacts: Vec::new() };
    let mut described = files(&mut folder, salt, packages.clone())?;
    for ((name, _), image) in images.iter().zip(&manifest.images) {
        described.push(((*name).to_owned(), image.digest.replace("sha256:", "")));
    }
    for iso in *isos {
        let bytes = format!("CD001 {salt}").into_bytes();
        folder.add(iso, ArtifactKind::Iso, None, &bytes)?;
        described.push(((*iso).to_owned(), sha256(&bytes)));
    }
    for (name, digest) in described {
        for format in SbomFormat::ALL {
            let bytes = document(format, &name, &digest).to_string().into_bytes();
            folder.add(&layout::sbom(&name, format), ArtifactKind::Sbom, Some(&name), &bytes)?;
        }
    }
    let mut lines: Vec<_> =
        folder.artifacts.iter().map(|it| (it.path.clone(), it.sha256.clone())).collect();
    lines.sort();
    let lines: Vec<_> = lines.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect();
    folder.add(layout::CHECKSUMS, ArtifactKind::Checksums, None, lines.concat().as_bytes())?;
    manifest.artifacts = folder.artifacts;
    let files = manifest.artifacts.iter().map(|file| file.path.clone());
    manifest.reproduced = Some(Reproduced {
        variations: vec!["clock".to_owned(), "umask".to_owned()],
        identical: files.collect(),
        different: manifest.images.iter().take(1).map(|it| it.layout.clone()).collect(),
        not_tried: BTreeMap::from([("clock".to_owned(), vec![BINARY.to_owned()])]),
    });
    put(&root.join(layout::MANIFEST), manifest.to_json()?.as_bytes())
}

fn materials(source: &Source) -> Vec<Material> {
    let digest = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    vec![
        Material {
            uri: format!("git+{}@{}", source.uri, source.commit),
            digest: digest("gitCommit", source.commit.clone()),
        },
        Material { uri: "file:Cargo.lock".to_owned(), digest: digest("sha256", sha256(b"lock")) },
    ]
}

/// Adds the binary and the packages, and returns the files that SBOMs describe, with their digests.
fn files(
    folder: &mut Folder,
    salt: &str,
    packages: Option<[Vec<u8>; 2]>,
) -> Result<Vec<(String, String)>> {
    let [deb, rpm] = packages.unwrap_or_else(|| {
        [format!("!<arch>\ndebian {salt}"), format!("\u{ed}rpm {salt}")].map(String::into_bytes)
    });
    let files = [
        (BINARY, ArtifactKind::Binary, format!("binary {salt}").into_bytes()),
        (PACKAGE, ArtifactKind::Package, package(format!("executable {salt}").as_bytes())?),
        (DEB, ArtifactKind::Package, deb),
        (RPM, ArtifactKind::Package, rpm),
    ];
    let mut described = Vec::new();
    for (path, kind, bytes) in files {
        folder.add(path, kind, None, &bytes)?;
        described.push((path.to_owned(), sha256(&bytes)));
    }
    folder.add(DEBUG, ArtifactKind::Debug, None, format!("debug {salt}").as_bytes())?;
    Ok(described)
}

/// The files of a release so far.
struct Folder {
    root: PathBuf,
    artifacts: Vec<Artifact>,
}

impl Folder {
    /// Writes a file and lists it.
    fn add(
        &mut self,
        path: &str,
        kind: ArtifactKind,
        describes: Option<&str>,
        bytes: &[u8],
    ) -> Result<()> {
        put(&self.root.join(path), bytes)?;
        self.artifacts.push(Artifact {
            path: path.to_owned(),
            kind,
            architecture: matches!(kind, ArtifactKind::Binary | ArtifactKind::Iso)
                .then_some(Architecture::Amd64),
            describes: describes.map(str::to_owned),
            size: bytes.len() as u64,
            sha256: sha256(bytes),
        });
        Ok(())
    }
}

/// Writes the OCI layout of an image.
fn image(
    root: &Path,
    name: &str,
    architectures: &[Architecture],
    salt: &str,
    version: &str,
) -> Result<Image> {
    let place = format!("{}/{name}", layout::IMAGES);
    let folder = Layout::create(root.join(&place))?;
    let layer_bytes = layer(salt)?;
    let layer = folder.write_blob(media_type::IMAGE_LAYER, layer_bytes.as_slice())?;
    let part = |architecture: &Architecture| -> Result<Value> {
        let config = json!({
            "architecture": architecture.oci(),
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest().to_string()]},
        });
        let config = folder.write_json(media_type::IMAGE_CONFIG, &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let manifest = folder.write_json(media_type::IMAGE_MANIFEST, &manifest)?;
        Ok(serde_json::to_value(manifest)?)
    };
    let (kind, mut root): (_, Descriptor) = if let [only] = architectures {
        (media_type::IMAGE_MANIFEST, serde_json::from_value(part(only)?)?)
    } else {
        let mut parts = Vec::new();
        for architecture in architectures {
            let mut part = part(architecture)?;
            let platform = json!({"architecture": architecture.oci(), "os": "linux"});
            part.as_object_mut()
                .context("a descriptor is an object")?
                .insert("platform".to_owned(), platform);
            parts.push(part);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_INDEX,
            "manifests": parts,
        });
        (media_type::IMAGE_INDEX, folder.write_json(media_type::IMAGE_INDEX, &index)?)
    };
    let tag = layout::tag(version);
    root.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), tag.clone())].into()));
    let digest = root.digest().to_string();
    folder.write_index(vec![root])?;
    Ok(Image {
        repository: name.to_owned(),
        layout: place,
        digest,
        media_type: kind.to_owned(),
        architectures: architectures.to_vec(),
        tags: vec![tag],
    })
}

/// Writes a file, and its folder.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn sha256(bytes: &[u8]) -> String {
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
fn package(executable: &[u8]) -> Result<Vec<u8>> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    append(&mut archive, "controller/controller", executable)?;
    append(&mut archive, "controller/LICENSE", b"AGPL")?;
    Ok(archive.into_inner()?.finish()?)
}

fn layer(salt: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "etc/example", salt.as_bytes())?;
    Ok(archive.into_inner()?)
}

fn append(archive: &mut tar::Builder<impl std::io::Write>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    Ok(archive.append_data(&mut header, path, bytes)?)
}
