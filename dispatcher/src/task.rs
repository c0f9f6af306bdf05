// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files of a task, each read once, so that a medium that changes later cannot
//! change a checked file.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Seek as _},
    ops::Range,
    path::Path,
};

use anyhow::bail;
use iso9660::{
    combined::Part,
    reader::{ReadError, Volume},
};
use recipe::{
    KsCfg, MAX_RECIPE_BYTES, UnattendXml, UserData,
    controller::{CONTROLLER_JSON, MAX_CONTROLLER_BYTES},
    network::{MAX_NETWORK_BYTES, NETWORK_JSON},
    provision::{KS_CFG, UNATTEND_XML, USER_DATA},
    schema::MAX_SCHEMA_BYTES,
};

use crate::{
    exit::{Exit, Failure, OrExit as _},
    medium::{Kind, Medium},
    mount::Mounted,
};

const RECIPE: &str = "recipe.json";
const SCHEMA: &str = "recipe.schema.json";

/// Every file that a task may have: name, largest size in bytes, and exit code if it cannot be
/// read.
const FILES: [(&str, usize, Exit); 8] = [
    (RECIPE, MAX_RECIPE_BYTES, Exit::Unreadable),
    (SCHEMA, MAX_SCHEMA_BYTES, Exit::Schema),
    (iso9660::task::SIGNATURE, 8 * 1024, Exit::Invalid),
    (CONTROLLER_JSON, MAX_CONTROLLER_BYTES, Exit::Unreadable),
    (NETWORK_JSON, MAX_NETWORK_BYTES, Exit::Unreadable),
    (USER_DATA, UserData::MAX_BYTES, Exit::Unreadable),
    (UNATTEND_XML, UnattendXml::MAX_BYTES, Exit::Unreadable),
    (KS_CFG, KsCfg::MAX_BYTES, Exit::Unreadable),
];

/// The files of a medium, by name.
pub(crate) struct Task(BTreeMap<&'static str, Vec<u8>>);

impl Task {
    /// Reads a medium. A device is mounted at `mount_point` meanwhile.
    pub(crate) fn read(medium: &Medium, mount_point: &Path) -> Result<Self, Failure> {
        match medium.kind {
            Kind::Folder => Self::from_folder(&medium.path),
            Kind::Image => Self::from_image(&medium.path, None),
            Kind::Part { start, end } => Self::from_image(&medium.path, Some(start..end)),
            Kind::Device => {
                let mounted = Mounted::new(&medium.path, mount_point)?;
                Self::from_folder(mounted.path())
            }
        }
    }

    fn from_folder(folder: &Path) -> Result<Self, Failure> {
        Self::collect(|name, limit| read_file(&folder.join(name), limit))
    }

    /// Reads an image: the file, or a part of it.
    fn from_image(image: &Path, part: Option<Range<u64>>) -> Result<Self, Failure> {
        let context = format!("cannot open {}", image.display());
        let mut file = fs::File::open(image).or_exit(Exit::Mount, &context)?;
        let size = file.seek(io::SeekFrom::End(0)).or_exit(Exit::Mount, &context)?;
        let image = Part::new(file, part.unwrap_or(0..size));
        let mut volume = Volume::open(image).or_exit(Exit::Mount, &context)?;
        Self::collect(|name, limit| match volume.find(name) {
            Ok(entry) => Ok(Some(volume.read_file(&entry, limit as u64)?)),
            Err(ReadError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    /// Reads each of [`FILES`] with `read`, which returns `None` if there is no such file.
    fn collect(
        mut read: impl FnMut(&str, usize) -> anyhow::Result<Option<Vec<u8>>>,
    ) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for (name, limit, exit) in FILES {
            let context = format!("cannot read {name} of the task");
            if let Some(bytes) = read(name, limit).or_exit(exit, context)? {
                files.insert(name, bytes);
            }
        }
        Ok(Self(files))
    }

    pub(crate) fn recipe(&self) -> Result<&[u8], Failure> {
        self.require(RECIPE, Exit::Unreadable)
    }

    /// `recipe.schema.json`
    pub(crate) fn schema(&self) -> Result<&[u8], Failure> {
        self.require(SCHEMA, Exit::Schema)
    }

    /// `recipe.sig`, if there is one.
    pub(crate) fn signature(&self) -> Option<&[u8]> {
        self.file(iso9660::task::SIGNATURE)
    }

    /// Any of the files, if the medium has it.
    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// All files but the signature.
    pub(crate) fn signed_files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.0.iter().filter(|(name, _)| **name != iso9660::task::SIGNATURE);
        files.map(|(name, bytes)| (*name, bytes.as_slice()))
    }

    fn require(&self, name: &'static str, exit: Exit) -> Result<&[u8], Failure> {
        self.file(name).ok_or_else(|| Failure::new(exit, anyhow::anyhow!("the task has no {name}")))
    }
}

/// Reads the file `path`; `None` if it does not exist. A link or a pipe is refused: it could lead
/// out of the medium, or never end.
fn read_file(path: &Path, limit: usize) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => bail!("not a regular file"),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        bail!("more than {limit} bytes");
    }
    Ok(Some(bytes))
}
