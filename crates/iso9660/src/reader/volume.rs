// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! An open image: descriptors, tree and files.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::directory::{self, Rules};
use super::entry::{Entry, Kind};
use super::error::{ReadError, corrupt};
use super::file::FileReader;
use super::input::Input;
use super::scope::{Limits, Namespace};
use crate::bytes::{BLOCK_BYTES, array, le16, le32};
use crate::descriptors::{
    EL_TORITO, FIRST, MAGIC, TYPE_BOOT, TYPE_PRIMARY, TYPE_SUPPLEMENTARY, TYPE_TERMINATOR, field,
};
use crate::time;

/// Most volume descriptors that are read.
const MAX_DESCRIPTORS: u32 = 32;
/// Joliet's escape sequences for UCS-2 of levels 1, 2 and 3.
const JOLIET_ESCAPES: [&[u8; 3]; 3] = [b"%/@", b"%/C", b"%/E"];

/// Text fields and dates of the primary volume descriptor, without trailing spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Volume id, the label.
    pub volume_id: String,
    /// Publisher.
    pub publisher: String,
    /// Preparer of the data.
    pub preparer: String,
    /// Application.
    pub application: String,
    /// Size of the volume in bytes.
    pub size: u64,
    /// Time of creation, in seconds since 1970.
    pub created: Option<i64>,
    /// Time of modification, in seconds since 1970.
    pub modified: Option<i64>,
}

/// An open image.
pub struct Volume<R> {
    pub(super) input: Input<R>,
    pub(super) catalog: Option<u32>,
    info: Info,
    rules: Rules,
    root: Entry,
}

/// Content of the descriptors.
#[derive(Default)]
struct Descriptors {
    primary: Option<(Info, Entry)>,
    joliet: Option<Entry>,
    catalog: Option<u32>,
}

impl<R: Read + Seek> Volume<R> {
    /// Opens an image with its best names: Rock Ridge, else Joliet, else plain ones.
    pub fn open(input: R) -> Result<Self, ReadError> {
        Self::open_with(input, None, Limits::default())
    }

    /// Opens an image with the given names and limits.
    pub fn open_with(
        input: R,
        namespace: Option<Namespace>,
        limits: Limits,
    ) -> Result<Self, ReadError> {
        let mut input = Input::new(input)?;
        let found = descriptors(&mut input)?;
        let (info, primary) = found.primary.ok_or(ReadError::NotIso)?;
        let own = directory::own_system_use(&mut input, &primary)?;
        // Without SP, system use areas hold something else (SUSP 5.3).
        let rock_ridge = own.skip.filter(|_| own.rock_ridge);
        let namespace = namespace.unwrap_or(match (rock_ridge, &found.joliet) {
            (Some(_), _) => Namespace::RockRidge,
            (None, Some(_)) => Namespace::Joliet,
            (None, None) => Namespace::Plain,
        });
        let mut root = match namespace {
            Namespace::Joliet => {
                found.joliet.ok_or(ReadError::NoNamespace { namespace: "Joliet" })?
            }
            _ => primary,
        };
        if namespace == Namespace::RockRidge {
            if rock_ridge.is_none() {
                return Err(ReadError::NoNamespace { namespace: "Rock Ridge" });
            }
            root.posix = own.posix;
            root.mtime = own.mtime.or(root.mtime);
        }
        let rules = Rules { namespace, skip: usize::from(rock_ridge.unwrap_or(0)), limits };
        Ok(Self { input, catalog: found.catalog, info, rules, root })
    }

    /// Fields of the primary volume descriptor.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The names that are read.
    pub fn namespace(&self) -> Namespace {
        self.rules.namespace
    }

    /// The root folder; its name is empty.
    pub fn root(&self) -> &Entry {
        &self.root
    }

    /// The children of a folder, in the order of their records.
    pub fn read_dir(&mut self, folder: &Entry) -> Result<Vec<Entry>, ReadError> {
        if !folder.is_directory() {
            return Err(ReadError::Kind { name: folder.name.clone(), expected: "folder" });
        }
        directory::read(&mut self.input, self.rules, folder)
    }

    /// All entries below the root with their paths, folders before their contents. A folder that is
    /// listed twice, as in a loop, is an error.
    pub fn walk(&mut self) -> Result<Vec<(String, Entry)>, ReadError> {
        let limits = self.rules.limits;
        let mut out: Vec<(String, Entry)> = Vec::new();
        let mut entered = BTreeSet::new();
        // Folders that do not overlap are together no larger than the image. Without this check,
        // many small records could each request the same large area.
        let mut budget = self.input.size();
        let mut open = vec![(String::new(), self.root.clone(), 0)];
        while let Some((path, folder, depth)) = open.pop() {
            let limit = |what, limit: usize| {
                Err(ReadError::Limit { offset: folder.offset, what, limit: limit as u64 })
            };
            if depth > limits.depth {
                return limit("folders inside each other", limits.depth);
            }
            if !entered.insert(folder.extents.first().map(|extent| extent.offset)) {
                return Err(corrupt(folder.offset, "a folder is listed twice"));
            }
            budget = budget
                .checked_sub(folder.size())
                .ok_or_else(|| corrupt(folder.offset, "folders overlap"))?;
            let children = self.read_dir(&folder)?;
            if out.len() + children.len() > limits.entries {
                return limit("files", limits.entries);
            }
            for entry in children {
                let path = if path.is_empty() {
                    entry.name.clone()
                } else {
                    format!("{path}/{}", entry.name)
                };
                if entry.is_directory() {
                    open.push((path.clone(), entry.clone(), depth + 1));
                }
                out.push((path, entry));
            }
        }
        Ok(out)
    }

    /// The entry at a path that is separated by `/`. Symlinks are not followed.
    pub fn find(&mut self, path: &str) -> Result<Entry, ReadError> {
        let mut at = self.root.clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let missing = || ReadError::NotFound { path: path.to_owned() };
            if !at.is_directory() {
                return Err(missing());
            }
            let mut children = self.read_dir(&at)?.into_iter();
            at = children.find(|entry| entry.name == name).ok_or_else(missing)?;
        }
        Ok(at)
    }

    /// A reader of a file's contents.
    pub fn open_file(&mut self, file: &Entry) -> Result<FileReader<'_, R>, ReadError> {
        if file.kind != Kind::File {
            return Err(ReadError::Kind { name: file.name.clone(), expected: "file" });
        }
        Ok(FileReader::new(&mut self.input, file))
    }

    /// The contents of a file of at most `limit` bytes.
    pub fn read_file(&mut self, file: &Entry, limit: u64) -> Result<Vec<u8>, ReadError> {
        let size = file.size();
        // A file cannot be larger than its image, whatever its record states.
        if size > limit || size > self.input.size() {
            return Err(ReadError::Limit { offset: file.offset, what: "bytes in a file", limit });
        }
        let mut out = Vec::new();
        let mut reader = self.open_file(file)?;
        reader
            .read_to_end(&mut out)
            .map_err(|source| ReadError::Io { offset: file.offset, source })?;
        Ok(out)
    }
}

fn descriptors<R: Read + Seek>(input: &mut Input<R>) -> Result<Descriptors, ReadError> {
    let mut found = Descriptors::default();
    for number in FIRST..FIRST + MAX_DESCRIPTORS {
        let offset = u64::from(number) * BLOCK_BYTES;
        if input.size() < offset + BLOCK_BYTES {
            break;
        }
        let sector = input.block(number)?;
        if sector.get(1..6) != Some(MAGIC) {
            break;
        }
        let kind = sector.first().copied().unwrap_or(TYPE_TERMINATOR);
        match kind {
            TYPE_PRIMARY if found.primary.is_none() => {
                if le16(&sector, field::BLOCK_SIZE) != Some(2048) {
                    let at = offset + field::BLOCK_SIZE as u64;
                    return Err(corrupt(at, "the block size is not 2048"));
                }
                found.primary = Some((info(&sector), root(&sector, offset)?));
            }
            TYPE_SUPPLEMENTARY if found.joliet.is_none() => {
                let escapes: Option<[u8; 3]> = array(&sector, field::ESCAPES);
                if escapes.is_some_and(|escapes| JOLIET_ESCAPES.contains(&&escapes)) {
                    found.joliet = Some(root(&sector, offset)?);
                }
            }
            TYPE_BOOT if sector.get(7..).is_some_and(|id| id.starts_with(EL_TORITO)) => {
                found.catalog = found.catalog.or(le32(&sector, field::CATALOG));
            }
            TYPE_TERMINATOR => break,
            _ => {}
        }
    }
    Ok(found)
}

fn root(sector: &[u8; 2048], offset: u64) -> Result<Entry, ReadError> {
    let record = sector.get(field::ROOT..field::ROOT + 34).unwrap_or_default();
    directory::root(record, offset + field::ROOT as u64)
}

fn info(sector: &[u8; 2048]) -> Info {
    let text = |offset: usize, len: usize| {
        let bytes = sector.get(offset..offset + len).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim_end_matches([' ', '\0']).to_owned()
    };
    let date = |offset| array(sector, offset).and_then(|date: [u8; 17]| time::parse_long(&date));
    Info {
        volume_id: text(field::VOLUME_ID, 32),
        publisher: text(field::PUBLISHER, 128),
        preparer: text(field::PREPARER, 128),
        application: text(field::APPLICATION, 128),
        size: u64::from(le32(sector, field::SPACE).unwrap_or(0)) * BLOCK_BYTES,
        created: date(field::CREATED),
        modified: date(field::MODIFIED),
    }
}
