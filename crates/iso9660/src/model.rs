// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Input of an image: the tree, the sources of contents, and the fields of the volume.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::WriteError;
use crate::time;

/// Longest name in bytes. Rock Ridge has no limit, but Linux truncates after 253 bytes
/// (`fs/isofs/rock.c`, `get_rock_ridge_filename`).
pub const MAX_NAME: usize = 253;
/// Longest symlink target in bytes. Linux reads 4095, but xorriso refuses an image with more
/// than 1023.
pub const MAX_TARGET: usize = 1023;
/// Deepest nesting of folders, so that every walk of a tree is bounded.
pub const MAX_DEPTH: usize = 255;

/// Owner, permissions and time of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits, such as `0o444`, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Seconds since 1970 in UTC, up to the end of 2155, for the times of modification, access and
    /// attribute change.
    pub mtime: u64,
}

/// An entry of a folder.
#[derive(Debug)]
pub enum Node {
    /// A folder.
    Directory(Directory),
    /// A regular file and its contents.
    File(Metadata, Source),
    /// A symbolic link and its target, stored unchanged.
    Symlink(Metadata, String),
}

impl Node {
    pub(crate) fn metadata(&self) -> &Metadata {
        match self {
            Self::Directory(directory) => &directory.metadata,
            Self::File(metadata, _) | Self::Symlink(metadata, _) => metadata,
        }
    }
}

/// A folder: its own metadata, and its children in the byte order of their names.
#[derive(Debug)]
pub struct Directory {
    /// Owner, permissions and time of the folder itself.
    pub metadata: Metadata,
    children: BTreeMap<String, Node>,
}

impl Directory {
    /// An empty folder; also the root of an image.
    pub fn new(metadata: Metadata) -> Self {
        Self { metadata, children: BTreeMap::new() }
    }

    /// Adds `node` at `path`, which is relative and separated by `/`. Missing folders are created
    /// with the metadata of this folder.
    pub fn insert(&mut self, path: &str, node: Node) -> Result<(), WriteError> {
        let fail = |reason| WriteError::Path { path: path.to_owned(), reason };
        check_node(path, &node)?;
        let mut parents: Vec<&str> = path.split('/').collect();
        parents.iter().try_for_each(|name| check_name(name)).map_err(fail)?;
        let name = parents.pop().unwrap_or_default();
        let metadata = self.metadata;
        let mut folder = self;
        for parent in parents {
            let next = folder
                .children
                .entry(parent.to_owned())
                .or_insert_with(|| Node::Directory(Directory::new(metadata)));
            let Node::Directory(directory) = next else {
                return Err(fail("a part of the path is not a folder"));
            };
            folder = directory;
        }
        if folder.children.contains_key(name) {
            return Err(fail("the path exists already"));
        }
        folder.children.insert(name.to_owned(), node);
        Ok(())
    }

    /// The children in the byte order of their names.
    pub fn children(&self) -> impl ExactSizeIterator<Item = (&str, &Node)> {
        self.children.iter().map(|(name, node)| (name.as_str(), node))
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name == "." || name == ".." {
        return Err("expected a path without empty parts, \".\" and \"..\"");
    }
    if name.contains('\0') {
        return Err("a name can't hold a zero byte");
    }
    if name.len() > MAX_NAME {
        return Err("a name has at most 253 bytes, the most that Linux reads");
    }
    Ok(())
}

fn check_node(path: &str, node: &Node) -> Result<(), WriteError> {
    let fail = |reason| Err(WriteError::Path { path: path.to_owned(), reason });
    if let Node::Symlink(_, target) = node
        && (target.is_empty() || target.len() > MAX_TARGET || target.contains('\0'))
    {
        return fail("a symlink's target has 1 to 1023 bytes, none of them zero");
    }
    check_metadata(path, node.metadata())
}

/// Refuses permission bits and times that the format cannot represent.
pub(crate) fn check_metadata(path: &str, metadata: &Metadata) -> Result<(), WriteError> {
    if metadata.mode > 0o7777 {
        let reason = "mode has more than permission bits: expected at most 0o7777";
        return Err(WriteError::Path { path: path.to_owned(), reason });
    }
    if metadata.mtime > time::MAX {
        return Err(WriteError::Time { what: path.to_owned(), seconds: metadata.mtime });
    }
    Ok(())
}

type Opener = Box<dyn Fn() -> io::Result<Box<dyn Read>> + Send + Sync>;

/// The source of a file's contents. Its length is known before the layout; contents are read while
/// the image is written, never as a whole.
pub struct Source {
    pub(crate) kind: SourceKind,
    pub(crate) len: u64,
}

pub(crate) enum SourceKind {
    Bytes(Vec<u8>),
    Path(PathBuf),
    Opener(Opener),
}

impl Source {
    /// Contents in memory.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { len: bytes.len() as u64, kind: SourceKind::Bytes(bytes) }
    }

    /// The contents of a regular file, with its current length. The path is opened again when the
    /// image is written; another length is an error.
    pub fn path(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let metadata = path.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self { len: metadata.len(), kind: SourceKind::Path(path.to_owned()) })
    }

    /// Contents of `len` bytes from a reader, which is opened once for each pass: once while
    /// the image is written, and once before if the file gets a boot information table.
    pub fn reader(
        len: u64,
        open: impl Fn() -> io::Result<Box<dyn Read>> + Send + Sync + 'static,
    ) -> Self {
        Self { len, kind: SourceKind::Opener(Box::new(open)) }
    }

    /// The length in bytes. There is no `is_empty`, because it has no user.
    #[expect(clippy::len_without_is_empty, reason = "a length on its own, not a collection")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// A reader from the start of the contents.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.kind {
            SourceKind::Bytes(bytes) => Box::new(bytes.as_slice()),
            SourceKind::Path(path) => Box::new(File::open(path)?),
            SourceKind::Opener(open) => open()?,
        })
    }
}

impl fmt::Debug for Source {
    /// Lengths and paths only: contents may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Source");
        out.field("len", &self.len);
        if let SourceKind::Path(path) = &self.kind {
            out.field("path", path);
        }
        out.finish_non_exhaustive()
    }
}

/// The text fields of the volume descriptors (ECMA-119 8.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Volume id, 1 to 32 of `A-Z`, `0-9` and `_`: the label that `blkid` shows.
    pub volume: String,
    /// The system that reads the first 16 sectors; up to 32 a-characters.
    pub system: String,
    /// Volume set id, up to 128 of `A-Z`, `0-9` and `_`.
    pub volume_set: String,
    /// Publisher, up to 128 a-characters (`A-Z`, `0-9`, space and ``!"%&'()*+,-./:;<=>?_``).
    pub publisher: String,
    /// Preparer of the data, up to 128 a-characters.
    pub preparer: String,
    /// The application, up to 128 a-characters.
    pub application: String,
}

/// How an image boots.
#[derive(Debug)]
pub struct Boot {
    /// The image that a BIOS boots from the CD.
    pub bios: Option<BiosBoot>,
    /// The EFI system partition, a FAT image. It is appended after the files as a GPT
    /// partition, and the UEFI entry of the boot catalog points at it too.
    pub esp: Option<Source>,
    /// GUID of the disk in the partition table, in the byte order of its text form. The partitions'
    /// GUIDs differ from it in the last byte. It is an input, so that the same inputs give the same
    /// bytes.
    pub disk_guid: [u8; 16],
    /// Boot code for the first 432 bytes of the disk, such as `isohdpfx.bin` of syslinux, for a
    /// BIOS that boots from a USB stick. The position of the BIOS boot image is at byte 432.
    pub mbr_code: Option<Vec<u8>>,
}

/// A boot image without floppy or hard disk emulation.
#[derive(Debug)]
pub struct BiosBoot {
    /// Its path in the tree.
    pub path: String,
    /// How many sectors of 512 bytes the BIOS loads; 4 for isolinux and GRUB.
    pub load_sectors: u16,
    /// Whether to patch a boot information table into bytes 8 to 63, as isolinux requires.
    pub info_table: bool,
}

/// All inputs of an image. The same value gives the same bytes on every machine.
#[derive(Debug)]
pub struct Image {
    /// The text fields of the volume.
    pub labels: Labels,
    /// The dates of the volume itself, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: u64,
    /// The files.
    pub root: Directory,
    /// How it boots, if it does.
    pub boot: Option<Boot>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

    fn file() -> Node {
        Node::File(META, Source::bytes(*b"x"))
    }

    #[test]
    fn folders_on_the_way_are_made() {
        let mut root = Directory::new(META);
        root.insert("a/b/c", file()).unwrap();
        root.insert("a/d", file()).unwrap();
        let (name, Node::Directory(a)) = root.children().next().unwrap() else { panic!() };
        assert_eq!(name, "a");
        assert_eq!(a.children().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn what_no_reader_could_show_is_refused() {
        let mut root = Directory::new(META);
        root.insert("file", file()).unwrap();
        let long = "n".repeat(MAX_NAME + 1);
        for path in
            ["", "/a", "a/", "a//b", "./a", "../a", "a/..", "nul\0", "file", "file/a", &long]
        {
            assert!(root.insert(path, file()).is_err(), "{path:?}");
        }
        let link = |target: String| Node::Symlink(META, target);
        assert!(root.insert("link", link(String::new())).is_err());
        assert!(root.insert("link", link("t".repeat(MAX_TARGET + 1))).is_err());
        let late = Metadata { mtime: time::MAX + 1, ..META };
        assert!(root.insert("late", Node::File(late, Source::bytes(*b""))).is_err());
        let odd = Metadata { mode: 0o100_644, ..META };
        assert!(root.insert("odd", Node::File(odd, Source::bytes(*b""))).is_err());
    }

    #[test]
    fn debug_output_holds_no_contents() {
        assert!(!format!("{:?}", Source::bytes(*b"hunter2")).contains("hunter2"));
    }
}
