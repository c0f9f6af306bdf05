// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The model of `release.toml`: the product as data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::Reference;
use release::Architecture;
use serde::Deserialize;

use super::engines::Engines;
use super::gates::Gates;
use super::package::Package;

/// `release.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Names of the whole.
    pub product: Identity,
    /// Executables that are delivered.
    #[serde(rename = "binary")]
    pub binaries: Vec<Binary>,
    /// Tool images.
    #[serde(rename = "image", default)]
    pub images: Vec<Image>,
    /// What images are built on.
    #[serde(rename = "base", default)]
    pub bases: Vec<ImageBase>,
    /// What is made for tests alone.
    #[serde(default)]
    pub test_artifacts: Option<TestSystems>,
    /// The live ISO of the maintenance OS.
    pub iso: Option<Iso>,
    /// The engine that does each job, where the command line names no other.
    #[serde(default)]
    pub engines: Engines,
    /// What gates hold the source against.
    #[serde(default)]
    pub gates: Gates,
}

/// Names of the whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// One word, part of file names.
    pub name: String,
    /// As people write it.
    pub title: String,
    /// Who makes it.
    pub vendor: String,
    /// SPDX licence expression.
    pub license: String,
    /// Where the source is published.
    pub source: String,
    /// Where `cargo xtask images --push` pushes to, as `HOST[:PORT][/PREFIX]`.
    #[serde(default)]
    pub registry: Option<String>,
}

/// An executable that is delivered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    /// The name of the executable.
    pub name: String,
    /// The package of the workspace that it is built from.
    pub package: String,
    /// The forms in which it is delivered; none for one that only goes into images.
    pub deliver: Vec<Deliver>,
    /// Files beside it in the archive: path in the archive to path in the source.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Whether `NAME packaging FOLDER` writes manual pages and completions there, to be delivered too.
    #[serde(default)]
    pub documents_itself: bool,
    /// What the packages of distributions are; where it is delivered as one, there is this table.
    #[serde(default)]
    pub system: Option<SystemPackage>,
}

/// A `.deb` and a `.rpm`: the executable as a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemPackage {
    /// The package's name.
    pub name: String,
    /// One line.
    pub summary: String,
    /// A paragraph.
    pub description: String,
    /// Packages that it does without, and better with.
    #[serde(default)]
    pub recommends: Vec<String>,
    /// The unit of systemd that starts it, from `/usr/local/bin`: path in the source.
    pub unit: PathBuf,
    /// Folders that the unit keeps its state in.
    #[serde(default)]
    pub state: Vec<String>,
    /// Files that people change: path on the system to path in the source.
    #[serde(default)]
    pub config: BTreeMap<String, PathBuf>,
}

/// A form in which an executable is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Deliver {
    /// An archive with what belongs to it.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// The executable itself.
    #[serde(rename = "raw")]
    Raw,
    /// A package for Debian and its descendants.
    #[serde(rename = "deb")]
    Deb,
    /// A package for Fedora, RHEL, SUSE and their descendants.
    #[serde(rename = "rpm")]
    Rpm,
}

/// A tool image.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Repository without a registry.
    pub name: String,
    /// The folder with its Containerfile.
    pub context: PathBuf,
    /// As people write it; a label.
    pub title: String,
    /// One line; a label.
    pub description: String,
    /// The base that it is built on, by its name.
    pub base: String,
    /// The executable that goes into it, by its name.
    pub binary: String,
    /// Packages that it needs beside those of the base.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// The most that its blobs may take for one architecture, in millions of bytes.
    pub limit_mb: u64,
    /// How `cargo xtask smoke images` tries it; without this it does not.
    #[serde(default)]
    pub smoke: Option<Smoke>,
}

/// How `cargo xtask smoke images` tries an image.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// Plans that its entry point gives with `--dry-run`, as `TASK.STEP`.
    pub plans: Vec<String>,
    /// Arguments for that beside `--dry-run`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Calls of the programs that its step runs, words between single spaces; each ends with 0.
    #[serde(default)]
    pub programs: Vec<String>,
    /// The tasks of which it carries out its part, after the images before it.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Folders of the source that it has then, and where.
    #[serde(default)]
    pub folders: BTreeMap<PathBuf, String>,
}

/// What images are built on: a root file system made of Debian packages, or an image of a registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageBase {
    /// What images call it.
    pub name: String,
    /// An image that is pulled in its place, as `REGISTRY/REPOSITORY@sha256:HEX`. The suite is then that of
    /// the packages which images install on it.
    #[serde(default)]
    pub image: Option<Pinned>,
    /// The suite of the distribution.
    pub suite: String,
    /// The lock file with the packages, relative to the root.
    pub lock: PathBuf,
    /// The Containerfile that installs an image's packages on it, relative to the root; none where no
    /// image on it has packages of its own.
    #[serde(default)]
    pub containerfile: Option<PathBuf>,
    /// Packages that it has beside those that every system of the suite has.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Paths that are left out of its packages, as dpkg's `path-exclude` takes them.
    #[serde(default)]
    pub without: Vec<String>,
}

/// An image of a registry by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pinned {
    /// Registry and repository.
    pub name: String,
    /// `sha256:HEX`.
    pub digest: String,
    /// It is spoken to without TLS, being on this machine.
    pub plain_http: bool,
}

impl TryFrom<String> for Pinned {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed: Reference = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
        let name = text.split_once('@').map(|(name, _)| name.to_owned());
        match (name, parsed.digest) {
            (Some(name), Some(digest)) if parsed.tag.is_none() => Ok(Self {
                name,
                digest: digest.to_string(),
                plain_http: parsed.registry.is_loopback(),
            }),
            _ => Err(format!("{text:?}: expected REGISTRY/REPOSITORY@sha256:HEX, without a tag")),
        }
    }
}

impl ImageBase {
    /// What images name as their base, beside its digest.
    pub fn label(&self) -> &str {
        self.image.as_ref().map_or(&self.name, |image| &image.name)
    }
}

/// Operating systems for tests of installing one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSystems {
    /// The folder with what makes them.
    pub context: PathBuf,
    /// The base whose lock has their packages.
    pub base: String,
    /// Packages with the kernel and busybox of the Linux.
    pub packages: Vec<Package>,
}

impl TestSystems {
    /// The names of the packages for `architecture`.
    pub fn packages_for(&self, architecture: Architecture) -> impl Iterator<Item = &str> {
        self.packages.iter().filter_map(move |package| package.name_for(architecture))
    }
}

/// The live ISO of the maintenance OS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iso {
    /// What its file name starts with.
    pub name: String,
    /// The image that it is made of, by its name.
    pub image: String,
    /// The folder with the configuration of its boot loaders.
    pub description: PathBuf,
    /// The volume label: `A-Z`, `0-9` and `_`.
    pub label: String,
    /// Packages with boot loaders, from the suite of the image's base; they are not in the image.
    pub packages: Vec<Package>,
    /// The most that it may take, in millions of bytes.
    pub limit_mb: u64,
    /// The same with the tool images in it (`cargo xtask maintenance --bind-tools`).
    pub bound_limit_mb: u64,
}

/// The names of those of `packages` that are for `architecture`.
pub fn names(packages: &[Package], architecture: Architecture) -> BTreeSet<String> {
    packages.iter().filter_map(|it| it.name_for(architecture)).map(str::to_owned).collect()
}

impl Image {
    /// The names of the packages that it takes for `architecture`.
    pub fn packages_for(&self, architecture: Architecture) -> impl Iterator<Item = &str> {
        self.packages.iter().filter_map(move |package| package.name_for(architecture))
    }
}

impl Product {
    /// Reads `release.toml` at `root`.
    ///
    /// # Errors
    /// When it can't be read or is malformed; the message holds line, column and expected form.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("release.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let product: Self = toml::from_str(text)?;
        let mut names: Vec<_> = product.binaries.iter().map(|it| &it.name).collect();
        names.extend(product.images.iter().map(|it| &it.name));
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            bail!("{name:?} is declared twice: names of binaries and images are unique");
        }
        for binary in &product.binaries {
            let packaged =
                binary.deliver.iter().any(|it| matches!(it, Deliver::Deb | Deliver::Rpm));
            if packaged && binary.system.is_none() {
                bail!(
                    "binary {:?} is delivered as deb or rpm and has no [binary.system]",
                    binary.name
                );
            }
        }
        for image in &product.images {
            product.binary(&image.binary).with_context(|| format!("image {:?}", image.name))?;
            product.base(&image.base).with_context(|| format!("image {:?}", image.name))?;
        }
        if let Some(tests) = &product.test_artifacts {
            product.base(&tests.base).context("test_artifacts")?;
        }
        if let Some(iso) = &product.iso {
            product.image(&iso.image).with_context(|| format!("iso {:?}", iso.name))?;
        }
        Ok(product)
    }

    /// The images of tools: all but the maintenance OS, which has commands of its own.
    pub fn tools(&self) -> impl Iterator<Item = &Image> {
        let is_tool = |image: &&Image| self.iso.as_ref().is_none_or(|iso| iso.image != image.name);
        self.images.iter().filter(is_tool)
    }

    /// The binary called `name`.
    pub fn binary(&self, name: &str) -> Result<&Binary> {
        let found = self.binaries.iter().find(|binary| binary.name == name);
        found.with_context(|| format!("there is no [[binary]] with the name {name:?}"))
    }

    /// The image called `name`.
    pub fn image(&self, name: &str) -> Result<&Image> {
        let found = self.images.iter().find(|image| image.name == name);
        found.with_context(|| format!("there is no [[image]] with the name {name:?}"))
    }

    /// The base called `name`.
    pub fn base(&self, name: &str) -> Result<&ImageBase> {
        let found = self.bases.iter().find(|base| base.name == name);
        found.with_context(|| format!("there is no [[base]] with the name {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of this repository, which has one of everything.
    const OURS: &str = include_str!("../../../../release.toml");

    #[test]
    fn takes_our_own() {
        let product = Product::parse(OURS).unwrap();
        assert!(product.binaries.iter().any(|it| it.name == "controller"));
        assert!(product.engines.choices().next().is_some());
    }

    #[test]
    fn an_unknown_field_is_told_by_its_place() {
        let line = OURS.lines().count() + 2;
        let error = Product::parse(&format!("{OURS}\n[surprise]\n")).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}, column 2")), "{error}");
        assert!(error.contains("unknown field `surprise`, expected one of"), "{error}");
    }

    #[test]
    fn a_package_of_a_distribution_has_to_be_described() {
        let more = "\n[[binary]]\nname = \"x\"\npackage = \"x\"\ndeliver = [\"rpm\"]\n";
        let error = Product::parse(&format!("{OURS}{more}")).unwrap_err().to_string();
        assert!(error.contains("binary \"x\" is delivered as deb or rpm"), "{error}");
    }

    #[test]
    fn a_base_is_pulled_by_its_digest_alone() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let read = |text: String| Pinned::try_from(text);
        let pinned = read(format!("r.example/debian@{digest}")).unwrap();
        assert_eq!((pinned.name.as_str(), &pinned.digest), ("r.example/debian", &digest));
        assert!(!pinned.plain_http);
        assert!(read(format!("127.0.0.1:5000/x/y@{digest}")).unwrap().plain_http);
        for bad in ["r.example/debian", "r.example/debian:13", "r.example/debian@sha256:0a"] {
            assert!(read(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(read(format!("r.example/debian:13@{digest}")).is_err());
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let twice = "\n[[binary]]\nname = \"controller\"\npackage = \"x\"\ndeliver = []\n";
        let error = Product::parse(&format!("{OURS}{twice}")).unwrap_err().to_string();
        assert!(error.contains("\"controller\" is declared twice"), "{error}");
    }
}
