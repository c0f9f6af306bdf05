// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Unpacks the layers of an image into a folder.
//!
//! The kernel resolves every path below the folder ([`root`]), so no name or link of a layer can
//! escape. Layers are streamed from the registry: unverified data stays inside the folder, and the
//! next run empties it.

mod archive;
mod attributes;
mod root;
mod sparse;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use oci::Whiteout;
use rustix::fs::{FileType, makedev};
use tar::EntryType;

use self::archive::{Archive, Entry};
use self::attributes::{Attributes, Owner};
use self::root::{Place, Root};
use crate::image::Image;
use crate::progress::Progress;

/// Unpacks all layers of `image` into the empty folder `root`.
pub(crate) fn unpack(image: &Image, root: &Path) -> Result<()> {
    let root = Root::open(root)?;
    let mut progress = Progress::new("pull", image.size());
    for (i, descriptor) in image.layers().iter().enumerate() {
        let layer = image.layer(descriptor, &mut progress)?;
        layer
            .decompress(|stream| unpack_layer(stream, &root))
            .with_context(|| format!("layer {} of {}", i + 1, image.layers().len()))?;
    }
    Ok(())
}

/// Unpacks one layer over those already in `root`.
fn unpack_layer(stream: &mut dyn Read, root: &Root) -> Result<()> {
    let mut layer = Layer { root, own: HashSet::new(), folders: Vec::new() };
    let mut archive = Archive::new(stream);
    while let Some(entry) = archive.next_entry()? {
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        layer.add(&entry, &mut archive).with_context(|| format!("cannot unpack {shown:?}"))?;
    }
    layer.finish()
}

/// A layer that is being unpacked.
struct Layer<'a> {
    root: &'a Root,
    /// Paths of this layer, which its own whiteouts do not delete.
    own: HashSet<PathBuf>,
    /// Folders and their times, which are set last, since new entries change them.
    folders: Vec<(PathBuf, Attributes)>,
}

impl Layer<'_> {
    /// Adds an entry, whose data is read from `contents`.
    fn add(&mut self, entry: &Entry, contents: &mut impl Read) -> Result<()> {
        let attributes = Attributes::read(entry)?;
        let name = attributes.name.as_ref().unwrap_or(&entry.path);
        let path = &relative(name)?;
        let kind = entry.header.entry_type();
        // Pre-POSIX archives store folders as files with a trailing slash.
        let is_folder = kind.is_dir() || (kind.is_file() && name.ends_with(b"/"));
        let Some(last) = path.file_name() else {
            ensure!(is_folder, "the root of the layer is not a folder");
            attributes.apply_to_file(&self.root.folder()?)?;
            self.folders.push((path.clone(), attributes));
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        match Whiteout::parse(last.as_bytes()) {
            Some(Whiteout::Opaque) => return self.empty(parent),
            Some(Whiteout::Name(name)) => return self.delete(&parent.join(whiteout_target(name)?)),
            Some(Whiteout::Nothing) => return Ok(()),
            None => {}
        }
        let place = self.root.place(path)?;
        if is_folder {
            if !place.is_folder() {
                place.remove()?;
                place.make_folder()?;
            }
            attributes.apply_to_file(&place.open_folder()?)?;
            self.folders.push((path.clone(), attributes));
        } else {
            place.remove()?;
            create(self.root, entry, contents, &place, &attributes)?;
        }
        self.own.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    /// Deletes `path` of a lower layer.
    fn delete(&self, path: &Path) -> Result<()> {
        if self.own.contains(path) {
            return Ok(());
        }
        match self.root.existing_place(path)? {
            Some(place) => place.remove(),
            None => Ok(()),
        }
    }

    /// Deletes the content of the folder `path`, except paths of this layer.
    fn empty(&self, path: &Path) -> Result<()> {
        for name in self.root.names(path)? {
            let child = path.join(name);
            if !self.own.contains(&child) {
                self.delete(&child)?;
            } else if self.root.existing_place(&child)?.is_some_and(|place| place.is_folder()) {
                self.empty(&child)?;
            }
        }
        Ok(())
    }

    /// Sets the times of folders, innermost first.
    fn finish(self) -> Result<()> {
        for (path, attributes) in self.folders.iter().rev() {
            if path.as_os_str().is_empty() {
                attributes.apply_times_of_root(self.root)?;
            } else if let Some(place) = self.root.existing_place(path)?
                && place.is_folder()
            {
                attributes.apply_times(&place)?;
            }
        }
        Ok(())
    }
}

/// Creates a file other than a folder at `place`, which must not exist.
fn create(
    root: &Root,
    entry: &Entry,
    contents: &mut impl Read,
    place: &Place,
    attributes: &Attributes,
) -> Result<()> {
    let header = &entry.header;
    let device = || -> Result<u64> {
        let missing = "the device has no numbers";
        let major = header.device_major()?.context(missing)?;
        Ok(makedev(major, header.device_minor()?.context(missing)?))
    };
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut file = place.make_file()?;
            write_contents(entry, contents, &mut file, attributes)?;
            attributes.apply_to_file(&file)?;
            attributes.apply_times(place)
        }
        EntryType::Link => {
            let target = relative(entry.link.as_ref().context("the link names no file")?)?;
            place
                .make_link(&root.place(&target)?)
                .with_context(|| format!("it is a hard link to {}", target.display()))
        }
        EntryType::Symlink => {
            let target = entry.link.as_ref().context("the link names no file")?;
            place.make_symlink(OsStr::from_bytes(target))?;
            attributes.apply_to_place(place, false)
        }
        EntryType::Char => {
            place.make_node(FileType::CharacterDevice, device()?)?;
            attributes.apply_to_place(place, true)
        }
        EntryType::Block => {
            place.make_node(FileType::BlockDevice, device()?)?;
            attributes.apply_to_place(place, true)
        }
        EntryType::Fifo => {
            place.make_node(FileType::Fifo, 0)?;
            attributes.apply_to_place(place, true)
        }
        other => bail!("entries of the type {:?} are not supported", char::from(other.as_byte())),
    }
}

/// Copies the content of a file, preserving holes.
fn write_contents(
    entry: &Entry,
    contents: &mut impl Read,
    file: &mut File,
    attributes: &Attributes,
) -> Result<()> {
    if let Some((pieces, real_size)) = &entry.sparse {
        return sparse::write(contents, pieces, entry.size, *real_size, file);
    }
    if let Some(real_size) = attributes.sparse_size {
        let (pieces, map_size) = sparse::read_map(contents)?;
        let size = entry.size.checked_sub(map_size);
        let size = size.context("the map of the sparse file is too long")?;
        return sparse::write(contents, &pieces, size, real_size, file);
    }
    let copied = io::copy(contents, file).context("cannot write it")?;
    ensure!(copied == entry.size, "the layer ends in the middle of it");
    Ok(())
}

/// The name that the whiteout `.wh.NAME` deletes.
fn whiteout_target(name: &[u8]) -> Result<&OsStr> {
    ensure!(
        !matches!(name, b"" | b"." | b".."),
        "the layer has a whiteout of {:?}",
        String::from_utf8_lossy(name)
    );
    Ok(OsStr::from_bytes(name))
}

/// Makes `path` relative to the root: no leading slash, no `.`; `..` is rejected.
fn relative(path: &[u8]) -> Result<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => bail!("the layer has the path {}", path.display()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

fn owner(header: &tar::Header) -> Result<Owner> {
    let wide = "the owner's number has more than 32 bits";
    let uid = u32::try_from(header.uid()?).context(wide)?;
    let gid = u32::try_from(header.gid()?).context(wide)?;
    Ok(Owner { uid, gid })
}

#[cfg(test)]
mod tests;
