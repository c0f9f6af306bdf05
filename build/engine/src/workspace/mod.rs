// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The workspace: root, commit, epoch, version and `release.toml`. Read once, then immutable.

mod engines;
mod gates;
mod git;
mod git_cache;
mod package;
mod product;
#[cfg(test)]
mod reference;
mod registries;
mod retention;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use foundation::{git as history, source, tree};

use self::git_cache::GitCache;

pub use self::engines::{
    Choice, Engines, ImageEngine, IsoEngine, Job, LIVE_TYPE, SbomEngine, SignatureEngine,
};
pub use self::gates::{
    Allowance, Coverage as CoverageThresholds, Justification, Mitigation, SchemaRules,
};
pub use self::product::{
    Binary, Deliver, Image, ImageBase, Iso, Pinned, Product, Smoke, TestSystems, names,
};
pub use self::registries::{Assets, AuthFile, Registries, RegistryEntry};
pub use self::retention::Retention;
pub use self::version::{Base, Version};

/// The workspace at a commit.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    commit: String,
    dirty: bool,
    epoch: u64,
    tags: Vec<git::Tag>,
    base: Base,
    product: Product,
    git_cache: GitCache,
}

impl Workspace {
    /// Finds the workspace that contains `folder`.
    ///
    /// # Errors
    /// When there is no workspace or no Git repository with a commit, when `release.toml` or the
    /// version in `Cargo.toml` is malformed, or `SOURCE_DATE_EPOCH` is not a number.
    pub fn discover(folder: &Path) -> Result<Self> {
        let root = root(folder)?;
        let product = Product::read(&root)?;
        let base = Base::read(&root)?;
        let git = git::State::read(&root)?;
        let epoch = match std::env::var_os("SOURCE_DATE_EPOCH") {
            Some(value) => {
                value.to_str().and_then(|text| text.parse().ok()).with_context(|| {
                    format!("SOURCE_DATE_EPOCH is {}, not a number of seconds", value.display())
                })?
            }
            None => git.date,
        };
        Ok(Self {
            root,
            commit: git.commit,
            dirty: git.dirty,
            epoch,
            tags: git.tags,
            base,
            product,
            git_cache: GitCache::default(),
        })
    }

    /// The folder with `Cargo.lock` and `release.toml`, canonical.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `target` at the root: all files that xtask writes are below it, whatever `CARGO_TARGET_DIR`
    /// is.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Folder for logs, journals and reports.
    pub fn scratch(&self) -> PathBuf {
        self.target().join("xtask")
    }

    /// Full commit id.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the work tree has changes, including untracked files.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Identity of the source: the commit, and for a dirty tree a digest of all source files.
    pub fn identity(&self) -> Result<String> {
        if !self.dirty {
            return Ok(self.commit.clone());
        }
        self.content()
    }

    /// Digest of all source files as they are now.
    pub fn content(&self) -> Result<String> {
        tree::digest(&self.root, self.paths()?.iter().map(Path::new))
    }

    /// Paths of all source files, from the root with `/`, sorted.
    pub fn paths(&self) -> Result<Arc<[String]>> {
        self.git_cache.paths(&self.root)
    }

    /// Source files that are text and selected by `wanted`, sorted.
    ///
    /// # Errors
    /// When Git cannot list the files, or one cannot be read.
    pub fn texts(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<source::File>> {
        source::texts(&self.root, self.paths()?.iter().filter(|path| wanted(path)))
    }

    /// The commit that a change is based on; see [`base`](foundation::git::base).
    pub fn change_base(&self) -> Result<history::Base> {
        self.git_cache.base(&self.root)
    }

    /// Tag of the last release, without candidates; `None` before the first release.
    pub fn last_release(&self) -> Result<Option<String>> {
        self.git_cache.last_release(&self.root)
    }

    /// Clears cached Git queries: the source may have changed.
    pub fn look_again(&self) {
        self.git_cache.clear();
    }

    /// The only timestamp in artifacts, in seconds: `SOURCE_DATE_EPOCH`, else the commit date.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// `release.toml`.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// `version` of `[workspace.package]` in `Cargo.toml`.
    pub fn base_version(&self) -> Base {
        self.base
    }

    /// The snapshot version of this commit.
    pub fn snapshot(&self) -> Version {
        Version::snapshot(self.base, &self.commit, self.dirty)
    }

    /// The version of a build of this commit: that of its release tag by the rules of [`Workspace::release`],
    /// else a snapshot's.
    pub fn version(&self) -> Version {
        self.release(None).unwrap_or_else(|_| self.snapshot())
    }

    /// The version of the release that a tag of this commit names: `tag`, else the tag that CI runs for,
    /// else the stable one of several.
    ///
    /// # Errors
    /// When the work tree is dirty, or the commit has no such tag, or the tag is not annotated or
    /// does not match the workspace's version.
    pub fn release(&self, tag: Option<&str>) -> Result<Version> {
        if self.dirty {
            bail!(
                "the work tree differs from commit {}: a release is built from a commit; \
                 commit or remove the changes that `git status` lists",
                self.commit
            );
        }
        let tag = tag.map(str::to_owned).or_else(|| tag_of_ci(|name| std::env::var(name).ok()));
        Version::from_tags(self.base, &self.tags, tag.as_deref())
    }

    /// Why a release tag of this commit is refused: it is lightweight.
    pub fn lightweight_release(&self) -> Option<String> {
        version::lightweight_release(&self.tags)
    }
}

/// The tag that CI runs for, from GitHub's variables; `variable` reads one.
fn tag_of_ci(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    variable("GITHUB_REF_TYPE").filter(|kind| kind == "tag")?;
    variable("GITHUB_REF_NAME").filter(|name| !name.is_empty())
}

/// The nearest ancestor folder with a `release.toml`.
pub fn root(folder: &Path) -> Result<PathBuf> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot find the folder {}", folder.display()))?;
    folder.ancestors().find(|folder| folder.join("release.toml").is_file()).map_or_else(
        || {
            bail!(
                "no release.toml in {} or above: run `cargo xtask` inside the repository",
                folder.display()
            )
        },
        |root| Ok(root.to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::tag_of_ci;

    #[test]
    fn the_tag_of_ci_is_one_and_no_branch() {
        let of = |kind: &'static str, name: &'static str| {
            tag_of_ci(|variable| match variable {
                "GITHUB_REF_TYPE" => Some(kind.to_owned()),
                "GITHUB_REF_NAME" => Some(name.to_owned()),
                _ => None,
            })
        };
        assert_eq!(of("tag", "v1.2.3-rc.1").as_deref(), Some("v1.2.3-rc.1"));
        assert_eq!(of("branch", "main"), None);
        assert_eq!(of("tag", ""), None);
        assert_eq!(tag_of_ci(|_| None), None);
    }
}
