// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Executes a plan.
//!
//! Execution stops at the first failure. In all cases, mounts are undone in reverse order and the
//! work folder is removed, so that only the disk keeps its state.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::action::Action;
use crate::boot_entry;
use crate::command;
use crate::disk;
use crate::download;
use crate::erase;
use crate::files;
use crate::grub;
use crate::image::{Image, Source};
use crate::mounts::{self, Mounts};
use crate::plan::Plan;
use crate::stamp::ActionResult;
use crate::tree;
use crate::unpack;
use crate::wim;

/// Maximum size of a file copied out of an image, in bytes. Boot loaders are a few MiB, and the
/// copy is in memory.
const COPY_LIMIT: u64 = 64 << 20;

/// Executes `plan`; `work` is a private folder for temporary files.
///
/// Prints a line to stderr for each action.
pub(crate) fn execute(plan: &Plan, work: &Path) -> Result<Vec<ActionResult>> {
    let _work = WorkDir::make(work)?;
    // Declared after the work folder, so dropped first: mounts are below it.
    let mut mounts = Mounts::default();
    let count = plan.actions.len();
    let mut done = Vec::new();
    for (i, action) in plan.actions.iter().enumerate() {
        let number = i + 1;
        if !matches!(action, Action::Choose { .. }) {
            eprintln!("{} [{number}/{count}] {action}", plan.step);
        }
        let outcome = carry_out(action, &mut mounts)
            .with_context(|| format!("{}: action {number} of {count} failed", plan.step))?;
        if let Some((bytes, digest)) = outcome {
            eprintln!("{} [{number}/{count}] done: {bytes} bytes, {digest}", plan.step);
            done.push(ActionResult { action: number, bytes: Some(bytes), digest: Some(digest) });
        }
    }
    Ok(done)
}

/// Size in bytes and digest of the written data, if any.
type Outcome = Option<(u64, String)>;

fn carry_out(action: &Action, mounts: &mut Mounts) -> Result<Outcome> {
    match action {
        Action::Run { program } => {
            command::run(program)?;
        }
        Action::Try { program, .. } => {
            if let Err(error) = command::run(program) {
                eprintln!("warning: {error:#}");
            }
        }
        Action::WriteFile { path, mode, contents } => {
            make_dir(path.parent().unwrap_or(Path::new("/")))?;
            files::write_atomically(path, *mode, contents.bytes())?;
        }
        Action::Install { root, path, mode, contents } => {
            let folder = tree::folder(root, path.parent().unwrap_or(Path::new("/")))?;
            let name = path.file_name().context("the plan installs a file without a name")?;
            files::write_atomically(&folder.join(name), *mode, contents.bytes())?;
        }
        Action::CopyOut { root, from, to } => {
            let source = tree::open(root, from)?;
            let failed = || format!("cannot copy {} to {}", from.display(), to.display());
            let mut target = File::create(to).with_context(failed)?;
            let copied = io::copy(&mut source.take(COPY_LIMIT + 1), &mut target);
            let copied = copied.with_context(failed)?;
            ensure!(copied <= COPY_LIMIT, "{}: it has more than {COPY_LIMIT} bytes", failed());
        }
        Action::Choose { root, alternatives } => {
            let fits = |path: &PathBuf| tree::exists(root, path);
            if let Some(chosen) = alternatives.iter().find(|one| one.needs.iter().all(fits)) {
                for action in &chosen.actions {
                    eprintln!("  {action}");
                    carry_out(action, mounts)?;
                }
            }
        }
        Action::GrubConfig { root, boot } => grub::write_config(root, boot)?,
        Action::AcceptGrubConfig { root, folder, boot } => grub::accept(root, boot, folder)?,
        Action::BootEntry { disk, partition, label, loader } => {
            if let Err(error) = boot_entry::replace(disk, *partition, label, loader) {
                eprintln!(
                    "warning: cannot create the boot entry of the installed system: {error:#}"
                );
            }
        }
        Action::MakeDir { path } => make_dir(path)?,
        Action::EmptyDir { path } => files::empty_dir(path)?,
        Action::Unpack { source, target } => {
            let image = open(source)?;
            unpack::unpack(&image, target)
                .with_context(|| format!("cannot unpack {}", source.reference))?;
            return Ok(Some((image.size(), image.digest().to_string())));
        }
        Action::ApplyWim { source, index, device, work } => {
            let image = open(source)?;
            wim::apply(&image, *index, device, work)
                .with_context(|| format!("cannot apply {}", source.reference))?;
            return Ok(Some((image.size(), image.digest().to_string())));
        }
        Action::Download { download, path } => {
            return download::fetch(download, path, download::LIMIT).map(Some);
        }
        Action::MakeImage { path, size } => {
            files::remove_if_there(path)?;
            File::create_new(path)
                .and_then(|file| file.set_len(*size))
                .with_context(|| format!("cannot make {} of {size} bytes", path.display()))?;
        }
        Action::Publish { from, to } => files::publish(from, to)?,
        Action::Flush { device } => File::open(device)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("cannot flush {}", device.display()))?,
        Action::CheckDisk { disk } => disk::check(disk)?,
        Action::CheckIdentity { id, disk, serial, size } => {
            erase::check_identity(id, disk, serial, *size)?;
        }
        Action::MarkSamples { disk, size } => erase::mark(disk, *size)?,
        Action::AwaitSanitize { disk } => erase::await_sanitize(disk)?,
        Action::Overwrite { disk, size, unless_zero: false } => erase::overwrite(disk, *size)?,
        Action::Overwrite { disk, size, unless_zero: true } => {
            erase::overwrite_unless_zero(disk, *size)?;
        }
        Action::VerifyErased { disk, serial, size, method, report } => {
            let verified = erase::verify(disk, *size, method.leaves_zeros())?;
            // Not the link: the controller redacts long names, which may be secrets.
            let shown = disk.display();
            let line =
                format!("{shown}: serial number {serial}, {size} bytes; {method}; {verified}\n");
            eprint!("{line}");
            files::append(report, line.as_bytes())?;
        }
        Action::CheckImage { source, limit } => open(source)?
            .check(*limit)
            .with_context(|| format!("cannot use {}", source.reference))?,
        Action::WaitForPartitions { partitions } => disk::wait_for_partitions(partitions)?,
        Action::Mount { source, target, fstype, read_only } => {
            mounts.mount(source, target, fstype, *read_only)?;
        }
        Action::Bind { source, target } => mounts.bind(source, target)?,
        Action::Unmount { target } => mounts.unmount(target)?,
    }
    Ok(None)
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Resolves an image in the registry and prints it.
fn open(source: &Source) -> Result<Image> {
    let reference = &source.reference;
    let image = Image::open(source).with_context(|| format!("cannot pull {reference}"))?;
    eprintln!("pull: {reference} is {}, {} layers", image.digest(), image.layers().len());
    Ok(image)
}

/// The work folder, removed on drop.
struct WorkDir<'a>(&'a Path);

impl<'a> WorkDir<'a> {
    /// Creates an empty folder; a killed run may have left files and mounts in it.
    fn make(path: &'a Path) -> Result<Self> {
        remove_work(path)?;
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the work folder {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_work(self.0) {
            eprintln!("clean-up: {error:#}");
        }
    }
}

fn remove_work(path: &Path) -> Result<()> {
    mounts::unmount_below(path)?;
    files::remove_tree_if_there(path)
}
