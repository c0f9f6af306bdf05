// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary release-page`: copies a release to a folder of a static site.
//!
//! `vVERSION/` has every file of the release at its path, and `index.html`; the `index.html` of the site
//! lists the versions. An existing file is never replaced: if its digest differs, nothing is written. Files
//! are renamed into place when they are complete, `release.json` last; only versions with `release.json` are
//! listed. A yanked version stays, marked, and leaves the repositories of packages.

mod html;
mod repositories;
mod yanked;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use files::{Mode, Pending};
use oci::Digest;
use release::channels::Yank;
use release::{Manifest, layout};
use semver::Version;

use self::yanked::Yanked;
use crate::publish::files::{ReleaseFile, collect};
use crate::publish::preflight::ensure_free;
use crate::release_folder::ReleaseFolder;
use crate::withdrawal::WithdrawalArgs;

/// Name of the page of a version, and of the page of all versions.
const INDEX: &str = "index.html";

/// Arguments of `notary release-page`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Release folder, with release.json.
    #[arg(long, value_name = "DIR", required_unless_present = "yank")]
    release: Option<PathBuf>,
    /// Folder of the static site.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    withdrawal: WithdrawalArgs,
}

/// Runs the command.
///
/// # Errors
/// When the folder is not a complete signed release, the site has a file with other content, or the release
/// to yank does not exist or cannot be removed from the apt and dnf repositories.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Args { release, to, withdrawal } = args;
    if let Some(release) = release {
        let release = ReleaseFolder::open(release)?;
        let files = collect(&release)?;
        let copied = publish(&release.manifest, &files, to)?;
        let folder = to.join(layout::tag(&release.manifest.version));
        escape::print_line(format_args!(
            "{}: {copied} files copied, {} up to date",
            folder.display(),
            files.len() - copied
        ))?;
    }
    let yanked = withdrawal.withdrawal()?;
    if let Some((version, yank)) = &yanked {
        withdraw(to, version, yank.clone())?;
        escape::print_line(format_args!("yanked {version} in {}", to.display()))?;
    }
    let written = match repositories::Key::from_environment() {
        Some(key) => Some(repositories::publish(to, &versions(to)?, &Yanked::read(to)?, &key)?),
        None => None,
    };
    if let Some(written) = &written {
        escape::print_line(format_args!("apt and dnf repositories: {written}"))?;
    }
    ensure!(
        yanked.is_none() || written.is_some_and(|it| it.is_complete()) || !repositories::exist(to),
        "the apt and dnf repositories of {} still offer the yanked release: set {} and run this again",
        to.display(),
        repositories::KEY
    );
    Ok(())
}

/// Marks a release of the site as yanked.
fn withdraw(site: &Path, version: &Version, yank: Yank) -> Result<()> {
    let versions = versions(site)?;
    let version = version.to_string();
    ensure!(
        versions.iter().any(|it| it.version == version),
        "{} has no release {version}",
        site.display()
    );
    let mut yanked = Yanked::read(site)?;
    yanked.add(site, &version, yank)?;
    for manifest in versions.iter().filter(|it| it.version == version) {
        let folder = site.join(layout::tag(&version));
        let files = published_files(&folder)?;
        page(&folder.join(INDEX), &html::version(manifest, &files, &yanked))?;
    }
    write_index(site, &versions, &yanked)
}

/// Writes the page of all versions.
fn write_index(site: &Path, manifests: &[Manifest], yanked: &Yanked) -> Result<()> {
    let versions = manifests.iter().filter(|it| yanked.get(&it.version).is_none());
    let available: Vec<Version> = versions.filter_map(|it| it.version.parse().ok()).collect();
    page(&site.join(INDEX), &html::versions(manifests, yanked, &available))
}

/// Adds a release to the site, and returns the number of files that were copied.
fn publish(manifest: &Manifest, files: &[ReleaseFile], site: &Path) -> Result<usize> {
    let folder = site.join(layout::tag(&manifest.version));
    let mut missing = Vec::new();
    let mut conflicts = find_foreign_files(&folder, files)?;
    for file in files {
        let path = folder.join(&file.name);
        match digest_of(&path).with_context(|| format!("cannot read {}", path.display()))? {
            None => missing.push(file),
            Some(digest) if digest == file.digest => {}
            Some(digest) => conflicts.push(format!(
                "{} has the digest {digest}, the release {}",
                path.display(),
                file.digest
            )),
        }
    }
    ensure!(
        conflicts.is_empty(),
        "{} is already published with other content, and a version never changes:\n  {}\nNothing was written",
        manifest.version,
        conflicts.join("\n  ")
    );
    fs::create_dir_all(&folder).with_context(|| format!("cannot write {}", folder.display()))?;
    let needed = files::space(files::PAGE, missing.iter().map(|file| file.size));
    ensure_free(&folder, needed, || "the files of the release".to_owned())?;
    // A version without its manifest is not listed.
    missing.sort_by_key(|file| file.name == layout::MANIFEST);
    for file in &missing {
        let path = folder.join(&file.name);
        copy(file, &path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let yanked = Yanked::read(site)?;
    page(&folder.join(INDEX), &html::version(manifest, files, &yanked))?;
    write_index(site, &versions(site)?, &yanked)?;
    Ok(missing.len())
}

/// Files in `folder` that are not of the release.
fn find_foreign_files(folder: &Path, files: &[ReleaseFile]) -> Result<Vec<String>> {
    let mut paths = list(folder)?;
    paths.retain(|path| !files.iter().any(|file| folder.join(&file.name) == *path));
    Ok(paths.iter().map(|path| format!("{} is not of the release", path.display())).collect())
}

/// The files of a published version, sorted by name.
fn published_files(folder: &Path) -> Result<Vec<ReleaseFile>> {
    let mut paths = list(folder)?;
    paths.sort();
    let read = |path: PathBuf| -> Result<ReleaseFile> {
        let context = || format!("cannot read {}", path.display());
        let name = path.strip_prefix(folder)?.to_str().with_context(context)?.to_owned();
        let file = File::open(&path).with_context(context)?;
        let (digest, size) = Digest::sha256_of(file).with_context(context)?;
        Ok(ReleaseFile { name, path, digest, size })
    };
    paths.into_iter().map(read).collect()
}

/// Files of a version, without its page. Temporary files that a killed run left are removed.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let context = || format!("cannot read {}", next.display());
        let Some(entries) = files::absent_is_none(fs::read_dir(&next)).with_context(context)?
        else {
            continue;
        };
        for entry in entries {
            let entry = entry.with_context(context)?;
            let path = entry.path();
            if entry.file_type().with_context(context)?.is_dir() {
                folders.push(path);
            } else if entry.file_name().to_string_lossy().starts_with(files::TEMPORARY) {
                files::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            } else if path != folder.join(INDEX) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn digest_of(path: &Path) -> io::Result<Option<Digest>> {
    let Some(file) = files::absent_is_none(File::open(path))? else { return Ok(None) };
    Digest::sha256_of(file).map(|(digest, _)| Some(digest))
}

fn copy(file: &ReleaseFile, path: &Path) -> Result<()> {
    fs::create_dir_all(files::parent(path))?;
    let mut pending = Pending::new_in(files::parent(path), Mode::Exact(0o644))?;
    io::copy(&mut File::open(&file.path)?, &mut pending)?;
    // Check the copies: the source may have changed meanwhile.
    let (digest, _) = Digest::sha256_of(File::open(pending.path())?)?;
    if digest != file.digest {
        bail!("{} has changed while it was copied", file.path.display());
    }
    pending.create(path)?;
    Ok(())
}

/// Writes a page unless it is there with this text.
fn page(path: &Path, text: &str) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    if files::absent_is_none(fs::read(path)).with_context(context)?.as_deref()
        == Some(text.as_bytes())
    {
        return Ok(());
    }
    files::write(path, Mode::Exact(0o644), text.as_bytes()).with_context(context)
}

/// The manifests of all versions in the site, the highest version first.
fn versions(site: &Path) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(site).with_context(|| format!("cannot read {}", site.display()))?;
    for entry in entries {
        let folder = entry.with_context(|| format!("cannot read {}", site.display()))?.path();
        let path = folder.join(layout::MANIFEST);
        let bytes = files::absent_is_none(fs::read(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Some(bytes) = bytes else { continue };
        let manifest = Manifest::parse(&bytes).with_context(|| path.display().to_string())?;
        ensure!(
            folder.file_name() == Some(layout::tag(&manifest.version).as_ref()),
            "{} is of the version {}",
            path.display(),
            manifest.version
        );
        found.push(manifest);
    }
    let order = |it: &Manifest| (Version::parse(&it.version).ok(), it.version.clone());
    found.sort_by_key(|manifest| std::cmp::Reverse(order(manifest)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use release::{Channel, Source};

    use super::*;

    /// A release of two files and its manifest.
    fn release(folder: &Path, version: &str, salt: &str) -> (Manifest, Vec<ReleaseFile>) {
        let source = Source {
            uri: "https://example.org/<source>".to_owned(),
            commit: "c0ffee".to_owned(),
            dirty: false,
        };
        let channel = if version.contains("-rc.") { Channel::Candidate } else { Channel::Stable };
        let epoch = 1_700_000_000;
        let manifest =
            Manifest::new("product".to_owned(), version.to_owned(), channel, source, epoch);
        let json = manifest.to_json().unwrap();
        let contents = [("release.json", json.as_str()), ("a.tar.gz", salt), ("sbom/a.json", "{}")];
        let files = contents.map(|(name, content)| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let (digest, size) = Digest::sha256_of(content.as_bytes()).unwrap();
            ReleaseFile { name: name.to_owned(), path, digest, size }
        });
        (manifest, files.into())
    }

    #[test]
    fn versions_are_added_and_listed_and_a_rerun_writes_nothing() {
        let (site, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for version in ["1.9.0", "1.10.0", "1.10.0-rc.1"] {
            let (manifest, files) = release(&folder.path().join(version), version, "x");
            assert_eq!(publish(&manifest, &files, site.path()).unwrap(), 3);
            let names = || fs::read_dir(site.path().join(format!("v{version}"))).unwrap().count();
            assert_eq!(names(), 4, "two files, a folder and the page");
            let ino = |name: &str| {
                use std::os::unix::fs::MetadataExt as _;
                fs::metadata(site.path().join(name)).unwrap().ino()
            };
            let before = (ino("index.html"), ino(&format!("v{version}/a.tar.gz")));
            assert_eq!(publish(&manifest, &files, site.path()).unwrap(), 0);
            assert_eq!((ino("index.html"), ino(&format!("v{version}/a.tar.gz"))), before);
        }
        let index = fs::read_to_string(site.path().join("index.html")).unwrap();
        let order: Vec<_> = ["v1.10.0/", "v1.10.0-rc.1/", "v1.9.0/"]
            .map(|version| index.find(&format!("href=\"{version}")).unwrap())
            .into();
        assert!(order.is_sorted(), "{index}");
        insta::assert_snapshot!("versions", index);
        let page = fs::read_to_string(site.path().join("v1.9.0/index.html")).unwrap();
        insta::assert_snapshot!("version", page);
    }

    #[test]
    fn a_yanked_version_is_marked_and_stays() {
        let (site, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let yank = |reason: &str| {
            let yank = Yank { reason: reason.to_owned(), since: 1, by: "me".to_owned() };
            withdraw(site.path(), &"1.0.0".parse().unwrap(), yank)
        };
        let error = yank("x").unwrap_err().to_string();
        assert!(error.contains("has no release 1.0.0"), "{error}");
        let (manifest, files) = release(folder.path(), "1.0.0", "x");
        publish(&manifest, &files, site.path()).unwrap();
        yank("burns <disks>").unwrap();
        yank("another reason").unwrap();
        let read = |name: &str| fs::read_to_string(site.path().join(name)).unwrap();
        let notice = "Yanked on 1970-01-01 by me: burns &lt;disks&gt;. ";
        let pages = || [read("index.html"), read("v1.0.0/index.html")];
        assert!(pages().iter().all(|it| it.contains(notice)), "{:?}", pages());
        assert!(!pages()[0].contains("instead") && pages()[1].contains("a.tar.gz"));
        // Publishing again does not remove the notice.
        assert_eq!(publish(&manifest, &files, site.path()).unwrap(), 0);
        assert!(pages().iter().all(|it| it.contains(notice)), "{:?}", pages());

        let (manifest, files) = release(&folder.path().join("new"), "1.0.1", "x");
        publish(&manifest, &files, site.path()).unwrap();
        assert!(pages()[0].contains(&format!("{notice}Use 1.0.1 instead.")), "{:?}", pages());
    }

    #[test]
    fn nothing_is_replaced_and_nothing_written_after_a_conflict() {
        let (site, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (manifest, files) = release(folder.path(), "1.0.0", "x");
        publish(&manifest, &files, site.path()).unwrap();
        let place = site.path().join("v1.0.0");
        fs::remove_file(place.join("sbom/a.json")).unwrap();
        fs::write(place.join("a.tar.gz"), "y").unwrap();
        fs::write(place.join("stranger"), "").unwrap();
        let error = publish(&manifest, &files, site.path()).unwrap_err().to_string();
        assert!(error.contains("stranger is not of the release"), "{error}");
        assert!(error.contains("a.tar.gz has the digest sha256:"), "{error}");
        assert!(!place.join("sbom/a.json").exists(), "it was written after a conflict");
        assert_eq!(fs::read(place.join("a.tar.gz")).unwrap(), b"y");
    }

    #[test]
    fn a_release_that_does_not_fit_is_not_begun() {
        let (site, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (manifest, mut files) = release(folder.path(), "1.0.0", "x");
        files[2].size = 1 << 60;
        let error = publish(&manifest, &files, site.path()).unwrap_err().to_string();
        assert!(error.contains("the files of the release need"), "{error}");
        assert_eq!(fs::read_dir(site.path().join("v1.0.0")).unwrap().count(), 0);
    }

    #[test]
    fn an_interrupted_run_is_not_listed_and_is_finished() {
        let (site, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (manifest, files) = release(folder.path(), "1.0.0", "x");
        publish(&manifest, &files, site.path()).unwrap();
        let place = site.path().join("v1.0.0");
        fs::remove_file(place.join("release.json")).unwrap();
        fs::write(place.join(".tmp-killed"), "half").unwrap();
        assert!(versions(site.path()).unwrap().is_empty());
        assert_eq!(publish(&manifest, &files, site.path()).unwrap(), 1);
        assert!(!place.join(".tmp-killed").exists());
        assert_eq!(versions(site.path()).unwrap().len(), 1);

        fs::write(&files[1].path, "changed").unwrap();
        fs::remove_dir_all(&place).unwrap();
        let error = format!("{:#}", publish(&manifest, &files, site.path()).unwrap_err());
        assert!(error.contains("has changed while it was copied"), "{error}");
        assert!(!place.join("a.tar.gz").exists());
    }
}
