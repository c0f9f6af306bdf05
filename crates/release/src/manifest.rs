// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The model of `release.json`, with reading and writing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The supported value of `schema`.
const SCHEMA: &str = "provisioner/release/v1";

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or of another shape; the message has line, column and field.
    #[error("release.json is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The manifest has another version of the schema.
    #[error("release.json has the schema {found:?}, this program reads {SCHEMA:?}")]
    Schema {
        /// The `schema` that the document names.
        found: String,
    },
}

/// The result of one build. Artifacts and images are sorted by name, so equal builds give equal
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `provisioner/release/v1`.
    pub schema: String,
    /// The product's name, from `release.toml`.
    pub product: String,
    /// Semantic version without a leading `v`.
    pub version: String,
    /// Its channel.
    pub channel: Channel,
    /// Its source.
    pub source: Source,
    /// `SOURCE_DATE_EPOCH` in seconds: the only time that reaches an artifact.
    pub epoch: u64,
    /// Inputs that determine the bytes: lock files, compiler, base images.
    pub materials: Vec<Material>,
    /// The engine of each job (`images`, `sbom`, `signatures`, …).
    pub engines: BTreeMap<String, Engine>,
    /// Files of the release.
    pub artifacts: Vec<Artifact>,
    /// Container images of the release.
    pub images: Vec<Image>,
    /// The signer, if it was an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// Results of a second build, if one was made before the release was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduced: Option<Reproduced>,
}

/// An identity, as in the certificates of the signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// An e-mail address, or the URI of a workflow.
    pub identity: String,
    /// The URL of the issuer (`OpenID` Connect).
    pub issuer: String,
}

/// Result of a second build of the same source with everything varied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduced {
    /// What was varied, such as `clock`.
    pub variations: Vec<String>,
    /// Files and images, by path, with equal bytes.
    pub identical: Vec<String>,
    /// Those with other bytes.
    pub different: Vec<String>,
    /// Variations that did not reach some files and images, by path; all others apply to every one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_tried: BTreeMap<String, Vec<String>>,
}

/// The channel of a build. A snapshot is never promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Any commit, for trials.
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
    /// Address of the repository.
    pub uri: String,
    /// Full Git commit id.
    pub commit: String,
    /// Whether the work tree differed from the commit.
    pub dirty: bool,
}

/// One input, in the form of SLSA's `resolvedDependencies` (SLSA provenance v1,
/// `ResourceDescriptor`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// Its URI, such as `git+https://…@COMMIT`, `pkg:generic/rustc@1.95.0` or `file:Cargo.lock`.
    pub uri: String,
    /// Algorithm to lower-case hex: `sha256`, or `gitCommit`.
    pub digest: BTreeMap<String, String>,
}

/// The engine of a job.
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
    /// Its kind.
    pub kind: ArtifactKind,
    /// Its architecture, if it has one.
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
    /// An archive with an executable and its other files.
    Package,
    /// `SHA256SUMS`.
    Checksums,
    /// An SBOM.
    Sbom,
    /// Debug information of an executable.
    Debug,
    /// The documentation as an archive of HTML pages.
    Documentation,
    /// A live ISO.
    Iso,
    /// How known vulnerabilities affect the release.
    Vex,
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
    /// Media type of `digest`.
    pub media_type: String,
    /// Its architectures.
    pub architectures: Vec<Architecture>,
    /// Tags that publishing sets last.
    pub tags: Vec<String>,
}

impl Image {
    /// The architectures whose manifests are signed in addition to `digest`: all of an index.
    pub fn parts(&self) -> &[Architecture] {
        match self.architectures.as_slice() {
            [_] => &[],
            several => several,
        }
    }
}

/// Architectures of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `x86_64` in Rust.
    Amd64,
    /// `aarch64` in Rust.
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
        Ok(serde_json::to_string_pretty(&sorted)? + "\n")
    }
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Snapshot, Self::Candidate, Self::Stable];

    /// Its name in `release.json`.
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
            format!("{text:?} is not a channel: expected {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

impl Architecture {
    /// The name in Go, Debian and OCI, and in the names of artifacts.
    pub fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name in Rust and the kernel.
    pub fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}
