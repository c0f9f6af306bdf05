// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The model of `release.json` and its reading and writing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of `schema` in the manifests that this crate reads and writes.
const SCHEMA: &str = "provisioner/release/v1";

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not of the expected shape; the message holds line, column and field.
    #[error("release.json is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by another generation of this program.
    #[error("release.json has the schema {found:?}, this program reads {SCHEMA:?}")]
    Schema {
        /// The `schema` that the document names.
        found: String,
    },
}

/// Everything that one build made. Artifacts and images are sorted by name, so equal builds give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `provisioner/release/v1`.
    pub schema: String,
    /// The product's name, from `release.toml`.
    pub product: String,
    /// Semantic version without a leading `v`.
    pub version: String,
    /// What this build may become.
    pub channel: Channel,
    /// What it was built from.
    pub source: Source,
    /// `SOURCE_DATE_EPOCH` in seconds: the only time that reaches an artifact.
    pub epoch: u64,
    /// Inputs that decide the bytes: lock files, compiler, base images.
    pub materials: Vec<Material>,
    /// The engine that did each job (`images`, `sbom`, `signatures`, …).
    pub engines: BTreeMap<String, Engine>,
    /// Files of the release.
    pub artifacts: Vec<Artifact>,
    /// Container images of the release.
    pub images: Vec<Image>,
    /// Who signed, where it was no key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// What a second build showed, where one was made before the release was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduced: Option<Reproduced>,
}

/// Somebody, by what the certificates of the signatures say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// An e-mail address, or the URI of a workflow.
    pub identity: String,
    /// The URL of the service that knows that name (`OpenID` Connect).
    pub issuer: String,
}

/// What came of building the same source once more, with everything varied at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduced {
    /// What differed between the two builds, such as `clock`.
    pub variations: Vec<String>,
    /// Files and images, by path, whose bytes were the same.
    pub identical: Vec<String>,
    /// Those whose bytes were not.
    pub different: Vec<String>,
    /// Variations that did not reach some files and images, by path; all others hold for every one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_tried: BTreeMap<String, Vec<String>>,
}

/// What a build may become. A snapshot is never promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Any commit, built for trying out.
    Snapshot,
    /// `vX.Y.Z-rc.N`.
    Candidate,
    /// `vX.Y.Z`.
    Stable,
}

/// The source of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where the repository is published.
    pub uri: String,
    /// Full Git commit id.
    pub commit: String,
    /// Whether the work tree differed from the commit.
    pub dirty: bool,
}

/// One input, as SLSA's `resolvedDependencies` wants it (SLSA provenance v1, `ResourceDescriptor`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// A URI that names it, such as `git+https://…@COMMIT`, `pkg:generic/rustc@1.95.0` or `file:Cargo.lock`.
    pub uri: String,
    /// Algorithm to lower-case hex: `sha256`, or `gitCommit`.
    pub digest: BTreeMap<String, String>,
}

/// The program that did a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// `native`, `podman`, `syft`, …
    pub name: String,
    /// Its version; the product's own for `native`.
    pub version: String,
}

/// A file of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Path inside the release folder, with `/`; unique.
    pub path: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// What it was made for; absent where it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// For an SBOM: the binary, package or image that it describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub describes: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// The kinds of files in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// An executable on its own.
    Binary,
    /// An archive with an executable and what belongs to it.
    Package,
    /// `SHA256SUMS`.
    Checksums,
    /// A software bill of materials.
    Sbom,
    /// What a debugger wants of an executable.
    Debug,
    /// A live ISO.
    Iso,
}

/// A container image of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Repository without a registry: `tools/config-drive`; unique.
    pub repository: String,
    /// Folder of the OCI layout inside the release folder.
    pub layout: String,
    /// `sha256:…` of the manifest or index that the tags point to.
    pub digest: String,
    /// Media type of what `digest` names.
    pub media_type: String,
    /// Architectures that it holds.
    pub architectures: Vec<Architecture>,
    /// Tags that publishing sets, last of all.
    pub tags: Vec<String>,
}

impl Image {
    /// The architectures whose manifests are signed beside what `digest` names: all where that is an index.
    pub fn parts(&self) -> &[Architecture] {
        match self.architectures.as_slice() {
            [_] => &[],
            several => several,
        }
    }
}

/// Processor architectures that the product is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `x86_64` to Rust.
    Amd64,
    /// `aarch64` to Rust.
    Arm64,
}

impl Manifest {
    /// A manifest without artifacts.
    pub fn new(
        product: String,
        version: String,
        channel: Channel,
        source: Source,
        epoch: u64,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            product,
            version,
            channel,
            source,
            epoch,
            materials: Vec::new(),
            engines: BTreeMap::new(),
            artifacts: Vec::new(),
            images: Vec::new(),
            signer: None,
            reproduced: None,
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When the bytes are not JSON of this shape, or of another generation of the schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Header {
            schema: String,
        }
        let header: Header = serde_json::from_slice(bytes)?;
        if header.schema != SCHEMA {
            return Err(ManifestError::Schema { found: header.schema });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Adds `material`, in place of another with the same URI.
    pub fn put_material(&mut self, material: Material) {
        self.materials.retain(|known| known.uri != material.uri);
        self.materials.push(material);
    }

    /// Adds `artifact`, in place of another with the same path.
    pub fn put_artifact(&mut self, artifact: Artifact) {
        self.artifacts.retain(|known| known.path != artifact.path);
        self.artifacts.push(artifact);
    }

    /// Adds `image`, in place of another of the same repository.
    pub fn put_image(&mut self, image: Image) {
        self.images.retain(|known| known.repository != image.repository);
        self.images.push(image);
    }

    /// The canonical text: sorted, indented by two, with a newline at the end.
    ///
    /// # Errors
    /// When serialisation fails, which the types here do not allow.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        let mut sorted = self.clone();
        sorted.materials.sort();
        sorted.artifacts.sort_by(|a, b| a.path.cmp(&b.path));
        sorted.images.sort_by(|a, b| a.repository.cmp(&b.repository));
        let mut text = serde_json::to_string_pretty(&sorted)?;
        text.push('\n');
        Ok(text)
    }
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Snapshot, Self::Candidate, Self::Stable];

    /// The name that `release.json` has.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Candidate => "candidate",
            Self::Stable => "stable",
        }
    }
}

impl std::str::FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| {
            format!("{text:?} is no channel: expected {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl Architecture {
    /// The name that Go, Debian and OCI use, and that the artifacts' names hold.
    pub fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name that Rust and the kernel use.
    pub fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}
