// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The media with a task. Device numbers change from boot to boot, so the volume label decides.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use iso9660::{
    combined::{self, Part},
    reader::Volume,
    task::VOLUME_PREFIX,
};

use crate::device::{self, Device, Drive};

/// Location of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// The volume label, if it has one.
    pub(crate) label: Option<String>,
    /// When the volume was made, in seconds since 1970, if it states that.
    pub(crate) created: Option<u64>,
    /// The kind of device; `None` if the medium was given.
    pub(crate) drive: Option<Drive>,
}

/// Kind of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block device, which has to be mounted.
    Device,
    /// An image in a file.
    Image,
    /// An image in a part of a file or device: a combined image, for a BMC with one medium.
    Part {
        /// Its offset in bytes.
        start: u64,
        /// Its end in bytes.
        end: u64,
    },
    /// A folder with the files of a task.
    Folder,
}

/// The given medium, if it exists. Opening a drive fails until it has a disc.
pub(crate) fn read_named(path: &Path) -> Result<Medium, io::Error> {
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
    let medium = |kind, (label, created)| {
        let path = path.to_owned();
        Medium { path, kind, label, created, drive: None }
    };
    if kind == Kind::Folder {
        return Ok(medium(kind, (None, None)));
    }
    let mut file = fs::File::open(path)?;
    if let Some(range) = combined::find(&mut file)? {
        let (start, end) = (range.start, range.end);
        return Ok(medium(Kind::Part { start, end }, identify(Part::new(file, range))));
    }
    Ok(medium(kind, identify(file)))
}

/// Label and time of creation of a volume, if it is one.
fn identify(volume: impl io::Read + io::Seek) -> (Option<String>, Option<u64>) {
    let Ok(volume) = Volume::open(volume) else { return (None, None) };
    let info = volume.info();
    let created = info.created.and_then(|seconds| seconds.try_into().ok());
    (Some(info.volume_id.clone()), created)
}

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SearchResult {
    /// The media with the label of a task, in the order to try them.
    pub(crate) tasks: Vec<Medium>,
    /// An optical drive cannot be read yet: it has no medium, or is not ready.
    pub(crate) is_optical_missing: bool,
    /// Disks that were not searched.
    pub(crate) fixed: Vec<String>,
}

/// Searches all devices below `root` that can have a task.
pub(crate) fn search(root: &Path) -> Result<SearchResult, io::Error> {
    let (devices, fixed) = device::list(root)?;
    let mut found = SearchResult { fixed, ..SearchResult::default() };
    for Device { name, drive } in devices {
        match read_named(&root.join("dev").join(name)) {
            Ok(medium) => {
                let label = medium.label.as_deref().unwrap_or_default();
                if label.starts_with(VOLUME_PREFIX) {
                    found.tasks.push(Medium { drive: Some(drive), ..medium });
                }
            }
            // A drive without a disc is no error.
            Err(_) => found.is_optical_missing |= drive == Drive::Optical,
        }
    }
    Ok(found)
}

/// The job id in a volume label, in upper case and without dashes. A label of full length may be
/// truncated, as a UUID always is, and is not used.
pub(crate) fn job_of_label(label: &str) -> Option<&str> {
    const MAX_LABEL: usize = 32;
    let id = label.strip_prefix(VOLUME_PREFIX)?;
    (!id.is_empty() && label.len() < MAX_LABEL).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_label_names_no_job() {
        let label = |id| iso9660::task::volume_id(id).unwrap();
        assert_eq!(job_of_label(&label("01jq-b")), Some("01JQB"));
        assert_eq!(job_of_label(&label("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")), None);
        assert_eq!(job_of_label("TASK_"), None);
        assert_eq!(job_of_label("OTHER"), None);
    }
}
