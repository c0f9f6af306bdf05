// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Finding the task ISO. Device numbers change from boot to boot, so the volume label decides.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use iso9660::{
    combined::{self, Part},
    reader::Volume,
    task::VOLUME_PREFIX,
};

use crate::{
    exit::{Exit, Failure},
    log,
};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);
/// The names of the devices that may hold it, discs first. A BMC that has one virtual drive only may
/// offer the second image as a USB stick.
const DEVICES: [&str; 3] = ["sr", "sd", "vd"];

/// Where the task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// The volume label, if it is a volume that has one.
    pub(crate) label: Option<String>,
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block device, to be mounted.
    Device,
    /// An image in a file.
    Image,
    /// An image in a part of a file or device: behind the maintenance image, where the BMC takes
    /// one medium.
    Part {
        /// Where it starts, in bytes.
        start: u64,
        /// Where it ends.
        end: u64,
    },
    /// A folder that holds the files of a task.
    Folder,
}

/// Waits until there is a medium: `source`, or else a device below `root` with a task's label.
pub(crate) fn wait(
    source: Option<&Path>,
    root: &Path,
    timeout: Duration,
) -> Result<Medium, Failure> {
    let what = match source {
        Some(path) => path.display().to_string(),
        None => format!("a medium labelled {VOLUME_PREFIX}*"),
    };
    log::info(format_args!("waiting up to {} s for {what}", timeout.as_secs()));
    let started = Instant::now();
    loop {
        let found = match source {
            Some(path) => named(path),
            None => search(root),
        };
        match found {
            Ok(medium) => {
                let label = medium.label.as_deref().unwrap_or("no label");
                log::info(format_args!("found {} ({label})", medium.path.display()));
                return Ok(medium);
            }
            Err(error) if started.elapsed() >= timeout => {
                let seconds = timeout.as_secs();
                let error = anyhow::anyhow!("{what} did not show up within {seconds} s: {error}");
                return Err(Failure::new(Exit::NoMedium, error));
            }
            Err(_) => thread::sleep(INTERVAL.min(timeout.saturating_sub(started.elapsed()))),
        }
    }
}

/// The medium that was named, if it is there. Opening a drive fails until a disc is in it.
fn named(path: &Path) -> Result<Medium, io::Error> {
    let file_type = fs::metadata(path)?.file_type();
    let kind = if file_type.is_dir() {
        Kind::Folder
    } else if file_type.is_block_device() {
        Kind::Device
    } else if file_type.is_file() {
        Kind::Image
    } else {
        return Err(io::Error::other("neither a block device nor a file nor a folder"));
    };
    let medium = |kind, label| Medium { path: path.to_owned(), kind, label };
    if kind == Kind::Folder {
        return Ok(medium(kind, None));
    }
    let mut file = fs::File::open(path)?;
    if let Some(range) = combined::find(&mut file)? {
        let (start, end) = (range.start, range.end);
        return Ok(medium(Kind::Part { start, end }, label(Part::new(file, range))));
    }
    Ok(medium(kind, label(file)))
}

/// The label of a volume, if it is one.
fn label(volume: impl io::Read + io::Seek) -> Option<String> {
    Volume::open(volume).ok().map(|volume| volume.info().volume_id.clone())
}

/// The first device below `root` whose label is that of a task.
fn search(root: &Path) -> Result<Medium, io::Error> {
    let mut found = Vec::new();
    for name in devices(root)? {
        // A drive without a disc, or a disk without a volume, is not what is looked for.
        let Ok(medium) = named(&root.join("dev").join(name)) else { continue };
        if medium.label.as_ref().is_some_and(|label| label.starts_with(VOLUME_PREFIX)) {
            found.push(medium);
        }
    }
    for other in found.iter().skip(1) {
        log::warning(format_args!("{} has the label of a task too", other.path.display()));
    }
    found.into_iter().next().ok_or_else(|| io::Error::other("no device has such a label"))
}

/// The devices to look at, in a stable order.
fn devices(root: &Path) -> Result<Vec<String>, io::Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("sys/block"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(rank) = DEVICES.iter().position(|prefix| name.starts_with(prefix)) {
            // By length before name, so that sr10 comes after sr9.
            names.push((rank, name.len(), name));
        }
    }
    names.sort();
    Ok(names.into_iter().map(|(_, _, name)| name).collect())
}

/// The job's id as far as a volume label tells it, in upper case and without dashes. A label of full
/// length may have been cut, as that of a UUID always is, and tells nothing.
pub(crate) fn job_of_label(label: &str) -> Option<&str> {
    const MAX_LABEL: usize = 32;
    let id = label.strip_prefix(VOLUME_PREFIX)?;
    (!id.is_empty() && label.len() < MAX_LABEL).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_was_cut_tells_no_job() {
        let label = |id| iso9660::task::volume_id(id).unwrap();
        assert_eq!(job_of_label(&label("01jq-b")), Some("01JQB"));
        assert_eq!(job_of_label(&label("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")), None);
        assert_eq!(job_of_label("TASK_"), None);
        assert_eq!(job_of_label("OTHER"), None);
    }

    #[test]
    fn discs_come_before_disks_and_by_number() {
        let root = tempfile::tempdir().unwrap();
        for name in ["vda", "sr10", "sda", "sr9", "sr0", "nvme0n1", "loop0"] {
            fs::create_dir_all(root.path().join("sys/block").join(name)).unwrap();
        }
        assert_eq!(devices(root.path()).unwrap(), ["sr0", "sr9", "sr10", "sda", "vda"]);
    }
}
