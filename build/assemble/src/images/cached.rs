// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A builder run whose image is cached until one of its inputs changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use engine::{Run, StepLog};
use foundation::epoch::rfc3339;
use foundation::tree::remove;
use foundation::{atomic, checksum, file};
use media::container::remove_store;
use media::{identity, native, normalise};
use oci::spec::ImageConfiguration;
use oci::{Digest, Layout};
use walkdir::WalkDir;

use super::builder::{Build as _, Builder, Job};
use crate::package::copy;

/// Part of the key; changes when images are built differently from the same inputs.
const RECIPE: &str = "8";

/// A file of the build context.
pub(super) struct ContextFile {
    /// Source path.
    pub(super) from: PathBuf,
    /// Path in the context.
    pub(super) to: PathBuf,
    /// Mode in the context.
    pub(super) mode: u32,
}

impl ContextFile {
    /// A context file `to`, copied from `from`, with `mode`.
    pub(super) fn new(from: impl Into<PathBuf>, to: impl Into<PathBuf>, mode: u32) -> Self {
        Self { from: from.into(), to: to.into(), mode }
    }
}

/// The image to build on.
pub(super) struct BaseImage<'a> {
    /// Its layout.
    pub(super) layout: &'a Layout,
    /// Its digest, which is part of the key.
    pub(super) digest: &'a str,
    /// Tar file of programs that replace those of a foreign base while commands run. The result is
    /// the same without it, so it is not part of the key.
    pub(super) native: Option<&'a Path>,
}

/// The image of `job` in the layout `to`, cached or built from `files` on the image `on`.
pub(super) fn image(
    run: &Run,
    log: &StepLog,
    builder: Builder,
    job: &Job,
    on: &BaseImage<'_>,
    files: &[ContextFile],
    to: &Path,
) -> Result<Layout> {
    let key_file = to.with_extension("key");
    let key = key(run, builder, job, on.digest, files)?;
    if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
        log.note(&format!("{}: unchanged, cached", to.display()));
        return Ok(Layout::open(to)?);
    }
    remove_store(&job.store())?;
    for path in [&job.folder, &key_file, to] {
        remove(path)?;
    }
    for file in files {
        copy(&file.from, &job.context().join(&file.to), file.mode)?;
    }
    open_folders(&job.context())?;
    let native_base = match on.native {
        Some(programs) if runs_commands(&job.context())? => {
            Some(native::add(on.layout, programs, &job.folder.join("native"))?)
        }
        _ => None,
    };
    job.link_base(native_base.as_ref().map_or(on.layout, |it| &it.layout).root())?;
    for command in builder.commands(job) {
        run.exec(log, &command)?;
    }
    let saved = Layout::open(job.layout_folder())?;
    normalise::image(&saved, on.layout, native_base.as_ref(), to, &rfc3339(job.epoch)?)?;
    let image = Layout::open(to)?;
    check_labels(&normalise::config(&image)?, &job.labels)?;
    identity::check(&image, Some(on.layout), job.epoch)?;
    // The builder's store is as large as the image and no longer needed.
    remove_store(&job.store())?;
    remove(&job.folder)?;
    atomic::write(&key_file, key.as_bytes())?;
    Ok(image)
}

/// Whether the Containerfile of `context` runs commands in the image.
fn runs_commands(context: &Path) -> Result<bool> {
    let text = file::read_text(&context.join("Containerfile"))?;
    Ok(text.lines().any(|line| line.trim_start().starts_with("RUN ")))
}

/// Compares the labels of the built image with the requested ones: a builder may ignore `--label`,
/// and a Containerfile may override a label.
fn check_labels(config: &ImageConfiguration, labels: &BTreeMap<&str, String>) -> Result<()> {
    let built = config.config().as_ref().and_then(|config| config.labels().as_ref());
    for (label, expected) in labels {
        let found = built.and_then(|built| built.get(*label));
        ensure!(found == Some(expected), "label {label}: expected {expected:?}, got {found:?}");
    }
    Ok(())
}

/// Sets mode 0755 on all folders below `context`: `COPY` copies modes, which depend on our umask.
fn open_folders(context: &Path) -> Result<()> {
    for entry in WalkDir::new(context) {
        let entry = entry.with_context(|| format!("cannot list {}", context.display()))?;
        if entry.file_type().is_dir() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot change {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Digest of all inputs of the image.
fn key(
    run: &Run,
    builder: Builder,
    job: &Job,
    base_digest: &str,
    files: &[ContextFile],
) -> Result<String> {
    let mut parts = vec![
        RECIPE.to_owned(),
        builder.program().to_owned(),
        run.tools.version(builder.program()).unwrap_or_default(),
        job.epoch.to_string(),
        base_digest.to_owned(),
    ];
    let pairs = job.arguments.iter().chain(&job.labels);
    parts.extend(pairs.map(|(name, value)| format!("{name}={value}")));
    for file in files {
        let (sha256, _) = checksum::sha256(&file.from)?;
        parts.push(format!("{} {:o} {sha256}", file.to.display(), file.mode));
    }
    Ok(Digest::sha256(parts.join("\n").as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use oci::spec::ConfigBuilder;

    use super::*;

    #[test]
    fn an_image_without_one_of_its_labels_is_refused() {
        let built = |pairs: &[(&str, &str)]| {
            let labels = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let mut config = ImageConfiguration::default();
            config.set_config(Some(
                ConfigBuilder::default().labels::<HashMap<_, _>>(labels).build().unwrap(),
            ));
            config
        };
        let wanted = BTreeMap::from([("title", "x".to_owned()), ("version", "1".to_owned())]);
        let whole = [("title", "x"), ("version", "1"), ("ostree.bootable", "1")];
        check_labels(&built(&whole), &wanted).unwrap();
        let error = check_labels(&built(&whole[..1]), &wanted).unwrap_err().to_string();
        assert_eq!(error, "label version: expected \"1\", got None");
        let error = check_labels(&built(&[("title", "y")]), &wanted).unwrap_err().to_string();
        assert_eq!(error, "label title: expected \"x\", got Some(\"y\")");
        check_labels(&ImageConfiguration::default(), &wanted).unwrap_err();
        check_labels(&ImageConfiguration::default(), &BTreeMap::new()).unwrap();
    }

    #[test]
    fn folders_are_open_whatever_the_umask_and_files_keep_their_modes() {
        let context = tempfile::tempdir().unwrap();
        let file = context.path().join("root/etc/file");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        for (path, mode) in [("root/etc/file", 0o640), ("root/etc", 0o700), ("root", 0o700)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(context.path().join(path), mode).unwrap();
        }
        open_folders(context.path()).unwrap();
        let mode = |path: &str| {
            context.path().join(path).metadata().unwrap().permissions().mode() & 0o7777
        };
        assert_eq!(
            ["", "root", "root/etc", "root/etc/file"].map(mode),
            [0o755, 0o755, 0o755, 0o640]
        );
    }
}
