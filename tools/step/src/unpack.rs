// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Unpacks the layers of an image into a folder.
//!
//! GNU tar does the unpacking: it knows ACLs, extended attributes, sparse files and the dialects of
//! tar that images come in. It is fed from the registry's stream, so nothing is stored twice.
//! What tar does not know, the whiteouts of the OCI image specification ("Image Layer Filesystem
//! Changeset"), is done here for every layer above the first.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tar::{Archive, Entry, EntryType};

use crate::command::{self, Fed};
use crate::image::Image;
use crate::plan::Program;
use crate::progress::Progress;

/// Marks an entry that deletes a file of a lower layer.
const WHITEOUT: &str = ".wh.";
/// Marks a folder whose contents in lower layers are gone.
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks all layers of `image` into the empty folder `root`.
pub(crate) fn unpack(image: &Image, root: &Path) -> Result<()> {
    let mut progress = Progress::new("pull", image.size());
    for (i, descriptor) in image.layers().iter().enumerate() {
        let layer = image.layer(descriptor, &mut progress)?;
        layer
            .decompress(
                |stream| if i == 0 { first_layer(stream, root) } else { upper_layer(stream, root) },
            )
            .with_context(|| format!("layer {} of {}", i + 1, image.layers().len()))?;
    }
    Ok(())
}

/// Nothing is below the first layer, so it goes to tar as it is.
fn first_layer(stream: &mut dyn Read, root: &Path) -> Result<()> {
    command::run_fed(&tar(root), stream)
}

/// Sends a layer to tar and deletes from `root` what the layer says is gone.
fn upper_layer(stream: &mut dyn Read, root: &Path) -> Result<()> {
    let mut tar = Fed::start(&tar(root))?;
    let mut whiteouts = Whiteouts::new(root);
    let walked = whiteouts.walk(&Tee::new(stream, &mut tar));
    tar.finish(walked)?;
    whiteouts.remove_markers()
}

/// The tar program, reading an archive from its standard input.
fn tar(root: &Path) -> Program {
    let directory = format!("--directory={}", root.display());
    let args = [
        "--extract",
        "--file=-",
        &directory,
        "--numeric-owner",
        "--same-owner",
        "--same-permissions",
        "--acls",
        "--xattrs",
        // All of them, security.capability and SELinux labels too.
        "--xattrs-include=*",
        "--delay-directory-restore",
        "--warning=no-timestamp",
    ];
    Program::new("tar", args)
}

/// Reads from one side and shows the same bytes to tar, at once or when they are released.
struct Tee<'a> {
    from: RefCell<&'a mut dyn Read>,
    to: RefCell<&'a mut Fed>,
    /// Bytes that tar must not see yet: the header of an entry that has not been judged.
    held: RefCell<Vec<u8>>,
    holding: Cell<bool>,
}

impl<'a> Tee<'a> {
    fn new(from: &'a mut dyn Read, to: &'a mut Fed) -> Self {
        Self {
            from: RefCell::new(from),
            to: RefCell::new(to),
            held: RefCell::default(),
            holding: Cell::new(true),
        }
    }

    /// From now on, keeps what is read from tar.
    fn hold(&self) {
        self.holding.set(true);
    }

    /// Shows tar what was kept, and what is read from now on.
    fn release(&self) -> io::Result<()> {
        self.holding.set(false);
        let held = std::mem::take(&mut *self.held.borrow_mut());
        self.to.borrow_mut().write_all(&held)
    }
}

impl Read for &Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.borrow_mut().read(buffer)?;
        let bytes = buffer.get(..n).unwrap_or_default();
        if self.holding.get() {
            self.held.borrow_mut().extend_from_slice(bytes);
        } else {
            self.to.borrow_mut().write_all(bytes)?;
        }
        Ok(n)
    }
}

/// What one layer deletes from the layers below it.
struct Whiteouts<'a> {
    root: &'a Path,
    /// What this layer itself brings: never deleted by its own whiteouts.
    own: HashSet<PathBuf>,
    markers: Vec<PathBuf>,
    /// Parents that were looked at, relative to the root.
    parents: HashSet<PathBuf>,
}

impl<'a> Whiteouts<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, own: HashSet::new(), markers: Vec::new(), parents: HashSet::new() }
    }

    /// Reads an archive to its end, and lets tar have each entry when the way is free for it.
    fn walk(&mut self, archive: &Tee<'_>) -> Result<()> {
        for entry in Archive::new(archive).entries()? {
            let mut entry = entry.context("the layer is not a whole tar archive")?;
            self.judge(&entry).context("the layer can't be unpacked")?;
            archive.release()?;
            io::copy(&mut entry, &mut io::sink()).context("cannot read the layer")?;
            archive.hold();
        }
        Ok(archive.release()?)
    }

    /// Does what one entry asks of the layers below.
    fn judge(&mut self, entry: &Entry<'_, impl Read>) -> Result<()> {
        let path = relative(&entry.path()?)?;
        self.check_parent(&path)?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Link
            && let Some(target) = entry.link_name()?
        {
            self.check_parent(&relative(&target)?)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        if name == OPAQUE {
            self.empty(&parent)?;
            self.markers.push(path);
        } else if let Some(deleted) = name.strip_prefix(WHITEOUT) {
            // `.wh..wh.plnk` and the like are left-overs of AUFS and delete nothing.
            if !deleted.starts_with(WHITEOUT) {
                check_whiteout(deleted)?;
                self.delete(&parent.join(deleted))?;
            }
            self.markers.push(path);
        } else {
            // A folder is replaced by something else without a whiteout; tar would refuse.
            if kind != EntryType::Directory
                && fs::symlink_metadata(self.root.join(&path)).is_ok_and(|found| found.is_dir())
            {
                self.delete(&path)?;
            }
            self.own.extend(path.ancestors().map(Path::to_owned));
        }
        Ok(())
    }

    /// Refuses a path that leads out of the root through a symbolic link of a lower layer. Links of
    /// this layer are no way out: tar makes those that could be one when all else is unpacked.
    fn check_parent(&mut self, path: &Path) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.parents.contains(parent) {
            return Ok(());
        }
        let mut known = PathBuf::new();
        for part in parent.components() {
            known.push(part);
            let full = self.root.join(&known);
            match fs::symlink_metadata(&full) {
                Ok(found) if found.is_symlink() => {
                    let real = fs::canonicalize(&full);
                    let root = fs::canonicalize(self.root)?;
                    ensure!(
                        real.is_ok_and(|real| real.starts_with(root)),
                        "the layer writes to {} through the symbolic link {}, which leads out of \
                         the image",
                        path.display(),
                        known.display()
                    );
                }
                Ok(_) => {}
                // What is not there yet is made by tar, as a folder.
                Err(_) => break,
            }
        }
        self.parents.insert(parent.to_owned());
        Ok(())
    }

    fn delete(&self, path: &Path) -> Result<()> {
        if self.own.contains(path) {
            return Ok(());
        }
        let full = self.root.join(path);
        let deleted = match fs::symlink_metadata(&full) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&full),
            Ok(_) => fs::remove_file(&full),
            Err(error) => Err(error),
        };
        match deleted {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error)
                .with_context(|| format!("cannot delete {}, as the layer asks", path.display())),
            _ => Ok(()),
        }
    }

    /// Deletes what is in the folder `path`, but for what this layer has brought.
    fn empty(&self, path: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(self.root.join(path)) else { return Ok(()) };
        for entry in entries {
            let child = path.join(entry?.file_name());
            if self.own.contains(&child) {
                if fs::symlink_metadata(self.root.join(&child)).is_ok_and(|found| found.is_dir()) {
                    self.empty(&child)?;
                }
            } else if !self.markers.contains(&child) {
                self.delete(&child)?;
            }
        }
        Ok(())
    }

    /// Removes the marker files that tar has unpacked along with the rest.
    fn remove_markers(&self) -> Result<()> {
        self.markers.iter().try_for_each(|path| self.delete(path))
    }
}

/// Refuses a whiteout that names no file: `.wh...` at the top would delete the neighbours of the root.
fn check_whiteout(deleted: &str) -> Result<()> {
    ensure!(!matches!(deleted, "" | "." | ".."), "the layer holds a whiteout of {deleted:?}");
    Ok(())
}

/// `path` of an entry, relative to the root: no leading slash, no `.`; `..` is refused, as tar does.
fn relative(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => bail!("the layer holds the path {}", path.display()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_names_a_file() {
        for name in ["", ".", ".."] {
            assert!(check_whiteout(name).is_err(), "{name:?}");
        }
        for name in ["a", "...", ".hidden"] {
            check_whiteout(name).unwrap();
        }
    }
}
