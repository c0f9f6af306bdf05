// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask version bump`: the commit and the annotated tag of the next release.
//!
//! The version is stated in `Cargo.toml`, in the lock files and in `CHANGELOG.md`. A candidate has
//! the version of its release there, so a release made of a candidate's commit changes no file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::semver::Version;
use changes::{Bump as Size, next_version};
use engine::Run;
use foundation::{atomic, git};

use super::history::{CommitRange, History};
use super::version::{find_last, read_current};

const MANIFEST: &str = "Cargo.toml";
const CHANGELOG: &str = "CHANGELOG.md";

/// Kind of the next release.
#[derive(Debug, Default, clap::Args)]
pub struct BumpArguments {
    /// Make a candidate: vX.Y.Z-rc.1, or the number after the last one
    #[arg(long, value_name = "KIND")]
    pub pre: Option<PreRelease>,
    /// Sign the tag with Git's user.signingkey, even where tag.gpgSign is not set
    #[arg(long)]
    pub sign: bool,
}

/// Kind of a candidate.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum PreRelease {
    /// Release candidate.
    Rc,
}

/// A release to make.
#[derive(Debug)]
pub struct Bump {
    old: Version,
    /// Without the candidate's number.
    base: Version,
    tag: String,
    tag_message: String,
    /// The change that requires it.
    because: String,
    /// New content of each file that changes, by path.
    files: BTreeMap<String, String>,
    sign: bool,
}

impl Bump {
    /// Determines the next version, and what changes with it.
    ///
    /// # Errors
    /// When the work tree is dirty, the clone is shallow ([`git::Shallow`]), the tag exists, or a file
    /// does not state the version.
    pub fn plan(run: &Run) -> Result<Self> {
        let root = run.workspace.root();
        if run.workspace.is_dirty() {
            bail!(
                "the work tree differs from commit {}: a release is a commit\n\
                 fix: commit or remove the changes that `git status` lists",
                run.workspace.commit()
            );
        }
        if git::is_shallow(root)? {
            bail!(git::Shallow);
        }
        let ends = CommitRange::read(run, None)?;
        let history = History::read(run, &ends)?;
        let (old, last) = (read_current(run)?, find_last(&ends)?);
        let bumps = history.bumps();
        let most = bumps.iter().max_by_key(|it| it.bump).filter(|it| it.bump > Size::None);
        let base = match &last {
            // A release without a change that requires one is a patch.
            Some(last) => {
                let size = most.map_or(Size::Patch, |it| it.bump.max(Size::Patch));
                next_version(last, size).max(old.clone())
            }
            None => old.clone(),
        };
        let arguments: BumpArguments = run.options.step_arguments();
        let version = match arguments.pre {
            Some(PreRelease::Rc) => candidate(run, &base)?,
            None => base.to_string(),
        };
        let tag = format!("v{version}");
        if !git::tags(root, &tag)?.is_empty() {
            bail!(
                "the tag {tag} exists, and a release never changes\n\
                 fix: check out a later commit, or set a higher version in [workspace.package] of {MANIFEST}"
            );
        }
        Ok(Self {
            tag_message: format!("{} {version}", run.workspace.product().product.title),
            tag,
            because: most.map_or_else(String::new, |it| format!("{}: {}", it.source, it.because)),
            files: edit_files(run, &old, &base, last.as_ref(), &history)?,
            sign: arguments.sign,
            old,
            base,
        })
    }

    /// The changes as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: &str| {
            out.push_str(&format!("{}\n", format!("{name:8} {value}").trim_end()));
        };
        row("version", &format!("{} (now {})", self.base, self.old));
        if !self.because.is_empty() {
            row("reason", &self.because);
        }
        for path in self.files.keys() {
            row("write", path);
        }
        if !self.files.is_empty() {
            row("commit", &self.subject());
        }
        row("tag", &format!("{} ({})", self.tag, if self.sign { "signed" } else { "annotated" }));
        let changelog = self.files.get(CHANGELOG);
        if let Some(section) = changelog.and_then(|it| changes::section_of(it, &self.base)) {
            out.push_str(&format!("\n{section}\n"));
        }
        out
    }

    /// Writes the files, commits them and makes the tag.
    ///
    /// # Errors
    /// When a file can't be written, or Git refuses the commit, which restores the files, or the tag.
    pub fn carry_out(&self, run: &Run) -> Result<()> {
        let root = run.workspace.root();
        if !self.files.is_empty() {
            let paths: Vec<String> = self.files.keys().cloned().collect();
            let done =
                write(root, &self.files).and_then(|()| git::commit(root, &self.subject(), &paths));
            if let Err(error) = done {
                git::restore(root, &paths).context("cannot restore the files")?;
                return Err(error);
            }
        }
        git::tag(root, &self.tag, &self.tag_message, self.sign)
            .context("the commit is made; correct the cause and rerun")
    }

    fn subject(&self) -> String {
        format!("chore(release): {}", self.tag)
    }
}

/// The version of the next candidate for `base`.
fn candidate(run: &Run, base: &Version) -> Result<String> {
    let root = run.workspace.root();
    let prefix = format!("v{base}-rc.");
    let tags = git::tags(root, &format!("{prefix}*"))?;
    let number = |tag: &String| tag.strip_prefix(&prefix)?.parse::<u64>().ok();
    let Some((number, tag)) = tags.iter().filter_map(|it| Some((number(it)?, it))).max() else {
        return Ok(format!("{base}-rc.1"));
    };
    if git::commit_of(root, tag)?.as_deref() == Some(run.workspace.commit()) {
        bail!(
            "this commit is the candidate {tag} already\n\
             fix: cargo xtask version bump, which makes the release of it"
        );
    }
    Ok(format!("{base}-rc.{}", number.saturating_add(1)))
}

fn write(root: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    files.iter().try_for_each(|(path, text)| atomic::write(&root.join(path), text.as_bytes()))
}

/// New content of each file that states the version, where it differs.
fn edit_files(
    run: &Run,
    old: &Version,
    base: &Version,
    last: Option<&Version>,
    history: &History,
) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in run.workspace.paths()?.iter() {
        let edit: &dyn Fn(&str) -> Result<String> = match path.as_str() {
            MANIFEST => &|text| manifest(text, old, base),
            CHANGELOG => {
                &|text| Ok(changes::add_release(text, base, last, &history.range.changes)?)
            }
            lock if Path::new(lock).file_name().is_some_and(|it| it == "Cargo.lock") => {
                &|text| Ok(lock_file(text, old, base))
            }
            _ => continue,
        };
        let file = run.workspace.root().join(path);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let new = edit(&text).with_context(|| format!("cannot write the release into {path}"))?;
        if new != text {
            files.insert(path.clone(), new);
        }
    }
    Ok(files)
}

/// `Cargo.toml` with another version in `[workspace.package]`.
fn manifest(text: &str, old: &Version, new: &Version) -> Result<String> {
    let start = text.find("[workspace.package]").context("there is no [workspace.package]")?;
    let (before, section) = text.split_at(start);
    let line = format!("\nversion = \"{old}\"");
    let (head, tail) = section
        .split_once(&line)
        .filter(|(head, _)| !head.contains("\n["))
        .with_context(|| format!("[workspace.package] has no line version = \"{old}\""))?;
    Ok(format!("{before}{head}\nversion = \"{new}\"{tail}"))
}

/// `Cargo.lock` with another version of the crates of the workspace: those without a source.
fn lock_file(text: &str, old: &Version, new: &Version) -> String {
    let version = format!("\nversion = \"{old}\"\n");
    let mut ours = Vec::new();
    let blocks: Vec<String> = text
        .split("\n\n")
        .map(|block| {
            let name =
                block.strip_prefix("[[package]]\nname = \"").and_then(|it| it.split_once('"'));
            // The last block ends with the file.
            let closed = format!("{block}\n");
            match name {
                Some((name, _)) if !block.contains("\nsource = ") && closed.contains(&version) => {
                    ours.push(name);
                    let edited = closed.replacen(&version, &format!("\nversion = \"{new}\"\n"), 1);
                    edited.strip_suffix('\n').unwrap_or(&edited).to_owned()
                }
                _ => block.to_owned(),
            }
        })
        .collect();
    // Where a registry has a crate of the same name, a dependency states the version.
    ours.iter().fold(blocks.join("\n\n"), |text, name| {
        text.replace(&format!("\"{name} {old}\""), &format!("\"{name} {new}\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> (Version, Version) {
        (Version::new(1, 2, 3), Version::new(1, 3, 0))
    }

    #[test]
    fn only_the_version_of_the_workspace_is_edited() {
        let (old, new) = versions();
        let text = "[package]\nversion = \"1.2.3\"\n[workspace.package]\nedition = \"2024\"\n\
                    version = \"1.2.3\"\n[workspace.dependencies]\nx = \"1.2.3\"\n";
        let expected = text.replace("2024\"\nversion = \"1.2.3\"", "2024\"\nversion = \"1.3.0\"");
        assert_eq!(manifest(text, &old, &new).unwrap(), expected);
        let other = "[workspace.package]\n[other]\nversion = \"1.2.3\"\n";
        for text in [other, "[package]\nversion = \"1.2.3\"\n"] {
            assert!(manifest(text, &old, &new).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lock_has_another_version_of_our_crates_alone() {
        let (old, new) = versions();
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\ndependencies = [\n \
                    \"b 1.2.3\",\n \"c\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"1.2.3\"\n\n\
                    [[package]]\nname = \"c\"\nversion = \"1.2.3\"\nsource = \"registry\"\n\n\
                    [[package]]\nname = \"d\"\nversion = \"1.2.3\"\n";
        let edited = lock_file(text, &old, &new);
        assert_eq!(edited.matches("1.3.0").count(), 4, "{edited}");
        assert!(edited.contains("name = \"c\"\nversion = \"1.2.3\"\nsource"), "{edited}");
        assert_eq!(edited.len(), text.len());
        assert_eq!(lock_file(&edited, &new, &old), text);
    }
}
