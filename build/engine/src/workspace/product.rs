// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Model of `release.toml`: the product as data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use foundation::file;
use oci::Reference;
use release::Architecture;
use serde::Deserialize;

use super::engines::Engines;
use super::gates::Gates;
use super::package::Package;
use super::registries::{Assets, Registries};
use super::retention::Retention;

/// `release.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Names of the product.
    pub product: Identity,
    /// Released executables.
    #[serde(rename = "binary")]
    pub binaries: Vec<Binary>,
    /// Images.
    #[serde(rename = "image", default)]
    pub images: Vec<Image>,
    /// Base images.
    #[serde(rename = "base", default)]
    pub bases: Vec<ImageBase>,
    /// Systems that tests install.
    pub test_artifacts: Option<TestSystems>,
    /// Live ISO of the maintenance OS.
    pub iso: Option<Iso>,
    /// Registries that a release is published to.
    #[serde(default, rename = "registry")]
    pub registries: Registries,
    /// Where the files of a release are published, by name.
    #[serde(default)]
    pub assets: BTreeMap<String, Assets>,
    /// How long a registry keeps releases.
    #[serde(default)]
    pub retention: Retention,
    /// Default engines by job.
    #[serde(default)]
    pub engines: Engines,
    /// Configuration of gates.
    #[serde(default)]
    pub gates: Gates,
}

/// Names of the product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Short name, part of file names.
    pub name: String,
    /// Display name.
    pub title: String,
    /// Vendor.
    pub vendor: String,
    /// SPDX licence expression.
    pub license: String,
    /// URL of the source.
    pub source: String,
    /// Target of `cargo xtask images --push`: a name of `[registry.NAME]`, or `HOST[:PORT][/PREFIX]`.
    pub registry: Option<String>,
}

/// A released executable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    /// Name of the executable.
    pub name: String,
    /// Package of the workspace that builds it.
    pub package: String,
    /// Release formats; empty for an executable that is only in images.
    pub deliver: Vec<Deliver>,
    /// Additional files in the archive: path in the archive to path in the source.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Whether `NAME packaging FOLDER` writes manual pages and completions, which are released too.
    #[serde(default)]
    pub documents_itself: bool,
    /// Description of distribution packages; required for `deb` and `rpm`.
    pub system: Option<SystemPackage>,
}

/// A `.deb` and a `.rpm` with the executable as a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemPackage {
    /// Package name.
    pub name: String,
    /// One-line summary.
    pub summary: String,
    /// Description, one paragraph.
    pub description: String,
    /// Recommended packages.
    #[serde(default)]
    pub recommends: Vec<String>,
    /// systemd unit that starts it from `/usr/local/bin`: path in the source.
    pub unit: PathBuf,
    /// State folders of the unit.
    #[serde(default)]
    pub state: Vec<String>,
    /// Configuration files: path on the system to path in the source.
    #[serde(default)]
    pub config: BTreeMap<String, PathBuf>,
}

/// Release format of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Deliver {
    /// Archive with additional files.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// The executable itself.
    #[serde(rename = "raw")]
    Raw,
    /// Package for Debian and its derivatives.
    #[serde(rename = "deb")]
    Deb,
    /// Package for Fedora, RHEL, SUSE and their derivatives.
    #[serde(rename = "rpm")]
    Rpm,
}

/// An image.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Repository without registry.
    pub name: String,
    /// Folder with the Containerfile.
    pub context: PathBuf,
    /// Title label.
    pub title: String,
    /// Description label, one line.
    pub description: String,
    /// Name of its base.
    pub base: String,
    /// Name of the executable in it.
    pub binary: String,
    /// Packages in addition to those of the base.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Folder with a Containerfile that runs on the base before the image's own, in place of
    /// packages: its result is cached until the folder or the base changes.
    pub prepare: Option<PathBuf>,
    /// Limit of the total blob size per architecture, in MB (10^6 bytes).
    pub limit_mb: u64,
    /// Test by `cargo xtask smoke images`; `None`: not tested.
    pub smoke: Option<Smoke>,
}

/// Test of an image by `cargo xtask smoke images`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// Plans to compare with `--dry-run` of the entry point, as `TASK.STEP`.
    pub plans: Vec<String>,
    /// Additional arguments for `--dry-run`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Commands of its step's programs, words separated by single spaces; each must exit with 0.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Tasks in which it runs, after the images before it.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Source folders to mount, and their mount points.
    #[serde(default)]
    pub folders: BTreeMap<PathBuf, String>,
}

/// A base of images: a root file system of Debian packages, or an image of a registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageBase {
    /// Name.
    pub name: String,
    /// Pulled image in place of a built one, as `REGISTRY/REPOSITORY@sha256:HEX`. The suite then
    /// applies to packages that images install on it.
    pub image: Option<Pinned>,
    /// Suite of the distribution.
    pub suite: String,
    /// Lock file of the packages, relative to the root.
    pub lock: PathBuf,
    /// Containerfile that installs an image's packages on the base, relative to the root; `None`
    /// where no image on it has packages of its own.
    pub containerfile: Option<PathBuf>,
    /// Packages in addition to the suite's base system.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Paths to exclude from packages, in the syntax of dpkg's `path-exclude`.
    #[serde(default)]
    pub without: Vec<String>,
}

/// An image of a registry, pinned by digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pinned {
    /// Registry and repository.
    pub name: String,
    /// `sha256:HEX`.
    pub digest: String,
    /// Whether to use plain HTTP, because the registry is local.
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
    /// Name of the base in image labels.
    pub fn label(&self) -> &str {
        self.image.as_ref().map_or(&self.name, |image| &image.name)
    }
}

/// Operating systems that tests install.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSystems {
    /// Folder of their build files.
    pub context: PathBuf,
    /// Base whose lock contains their packages.
    pub base: String,
    /// Packages with kernel and busybox of the test Linux.
    pub packages: Vec<Package>,
}

impl TestSystems {
    /// Names of the packages for `architecture`.
    pub fn packages_for(&self, architecture: Architecture) -> impl Iterator<Item = &str> {
        self.packages.iter().filter_map(move |package| package.name_for(architecture))
    }
}

/// Live ISO of the maintenance OS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iso {
    /// Start of its file name.
    pub name: String,
    /// Name of the image that it is built from.
    pub image: String,
    /// Folder with boot loader configuration.
    pub description: PathBuf,
    /// Volume label: `A-Z`, `0-9` and `_`.
    pub label: String,
    /// Packages with boot loaders, from the suite of the image's base; they are not in the image.
    pub packages: Vec<Package>,
    /// Size limit in MB (10^6 bytes).
    pub limit_mb: u64,
    /// Size limit with bound tool images (`cargo xtask maintenance --bind-tools`), in MB.
    pub bound_limit_mb: u64,
}

/// Names of the `packages` for `architecture`.
pub fn names(packages: &[Package], architecture: Architecture) -> BTreeSet<String> {
    packages.iter().filter_map(|it| it.name_for(architecture)).map(str::to_owned).collect()
}

impl Image {
    /// Names of its packages for `architecture`.
    pub fn packages_for(&self, architecture: Architecture) -> impl Iterator<Item = &str> {
        self.packages.iter().filter_map(move |package| package.name_for(architecture))
    }
}

impl Product {
    /// Reads `release.toml` at `root`.
    ///
    /// # Errors
    /// When it cannot be read or is malformed; the message has line, column and expected form.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("release.toml");
        let text = file::read_text(&path)?;
        Self::parse(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let product: Self = toml::from_str(text)?;
        let mut names: Vec<_> = product.binaries.iter().map(|it| &it.name).collect();
        names.extend(product.images.iter().map(|it| &it.name));
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            bail!("{name:?} is declared twice: names of binaries and images must be unique");
        }
        for binary in &product.binaries {
            let packaged =
                binary.deliver.iter().any(|it| matches!(it, Deliver::Deb | Deliver::Rpm));
            if packaged && binary.system.is_none() {
                bail!(
                    "binary {:?} is released as deb or rpm but has no [binary.system]",
                    binary.name
                );
            }
        }
        for image in &product.images {
            product.binary(&image.binary).with_context(|| format!("image {:?}", image.name))?;
            product.base(&image.base).with_context(|| format!("image {:?}", image.name))?;
            if image.prepare.is_some() && !image.packages.is_empty() {
                bail!("image {:?} has both `prepare` and `packages`: expected one", image.name);
            }
        }
        if let Some(tests) = &product.test_artifacts {
            product.base(&tests.base).context("test_artifacts")?;
        }
        if let Some(iso) = &product.iso {
            product.image(&iso.image).with_context(|| format!("iso {:?}", iso.name))?;
        }
        Ok(product)
    }

    /// The tool images: all images except the maintenance OS, which has its own commands.
    pub fn tools(&self) -> impl Iterator<Item = &Image> {
        let is_tool = |image: &&Image| self.iso.as_ref().is_none_or(|iso| iso.image != image.name);
        self.images.iter().filter(is_tool)
    }

    /// The binary `name`.
    pub fn binary(&self, name: &str) -> Result<&Binary> {
        let found = self.binaries.iter().find(|binary| binary.name == name);
        found.with_context(|| {
            unknown("binary", name, self.binaries.iter().map(|it| it.name.as_str()))
        })
    }

    /// The image `name`.
    pub fn image(&self, name: &str) -> Result<&Image> {
        let found = self.images.iter().find(|image| image.name == name);
        found.with_context(|| unknown("image", name, self.images.iter().map(|it| it.name.as_str())))
    }

    /// The base `name`.
    pub fn base(&self, name: &str) -> Result<&ImageBase> {
        let found = self.bases.iter().find(|base| base.name == name);
        found.with_context(|| unknown("base", name, self.bases.iter().map(|it| it.name.as_str())))
    }
}

/// Error text for a `name` that no `[[table]]` of `release.toml` has.
fn unknown<'a>(table: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    format!("release.toml has no [[{table}]] {name:?}: expected {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of this repository, which uses every feature.
    const OURS: &str = include_str!("../../../../release.toml");

    #[test]
    fn takes_our_own() {
        let product = Product::parse(OURS).unwrap();
        assert!(product.binaries.iter().any(|it| it.name == "controller"));
        assert!(product.engines.choices().next().is_some());
    }

    #[test]
    fn an_unknown_field_is_reported_by_its_place() {
        let line = OURS.lines().count() + 2;
        let error = Product::parse(&format!("{OURS}\n[surprise]\n")).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}, column 2")), "{error}");
        assert!(error.contains("unknown field `surprise`, expected one of"), "{error}");
    }

    #[test]
    fn a_contradiction_is_refused() {
        let prepare = "prepare = \"maintenance-os/initramfs\"";
        let both = OURS.replacen(prepare, &format!("{prepare}\npackages = [\"curl\"]"), 1);
        let binary = |name: &str, deliver: &str| {
            format!("{OURS}\n[[binary]]\nname = {name:?}\npackage = \"x\"\ndeliver = [{deliver}]\n")
        };
        for (case, text, expected) in [
            (
                "no [binary.system]",
                binary("x", "\"rpm\""),
                "binary \"x\" is released as deb or rpm",
            ),
            ("packages and prepare", both, "image \"maintenance-os\" has both"),
            ("a name twice", binary("controller", ""), "\"controller\" is declared twice"),
        ] {
            let error = Product::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{case}: {error}");
        }
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
}
