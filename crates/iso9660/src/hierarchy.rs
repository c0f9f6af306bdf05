// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One of the two directory trees of an image: the primary one with Rock Ridge, or Joliet's.
//!
//! Both list the same files at the same positions, with other identifiers and in another order.

use crate::bytes::{BLOCK, blocks, put};
use crate::items::{Item, Kind, MAX_SECTION, block};
use crate::records::{
    FLAG_DIRECTORY, FLAG_MULTI_EXTENT, Order, Record, append_path_record, system_use_room,
};
use crate::rock_ridge::{Continuation, Role};
use crate::{WriteError, joliet, names, rock_ridge, time};

/// Directories that a path table can number (ECMA-119 9.4.4).
const MAX_DIRECTORIES: usize = 65_535;

/// Which tree it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    Primary,
    Joliet,
}

/// Position and length of a directory's records.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extent {
    pub(crate) block: u32,
    /// In bytes; whole blocks.
    pub(crate) length: u32,
}

pub(crate) struct Hierarchy {
    namespace: Namespace,
    /// By item: its identifier, empty for items that are not in the tree.
    identifiers: Vec<Vec<u8>>,
    /// By item: its children in the order of their records.
    children: Vec<Vec<usize>>,
    /// The directories, level by level: the order of the path table.
    directories: Vec<usize>,
    /// By item: position of a directory.
    extents: Vec<Extent>,
}

impl Hierarchy {
    /// Names and sorts everything. Nothing has a position yet.
    pub(crate) fn new(namespace: Namespace, items: &[Item<'_>]) -> Result<Self, WriteError> {
        let mut tree = Self {
            namespace,
            identifiers: vec![Vec::new(); items.len()],
            children: vec![Vec::new(); items.len()],
            directories: Vec::new(),
            extents: vec![Extent::default(); items.len()],
        };
        let mut level = vec![0];
        while !level.is_empty() {
            let mut below = Vec::new();
            for &directory in &level {
                tree.name_children(items, directory);
                let children = tree.children.get(directory).into_iter().flatten().copied();
                below.extend(children.filter(|&child| is_directory(items, child)));
            }
            tree.directories.append(&mut level);
            level = below;
        }
        if tree.directories.len() > MAX_DIRECTORIES {
            return Err(WriteError::TooLarge {
                what: "the number of directories".to_owned(),
                size: tree.directories.len() as u64,
                limit: MAX_DIRECTORIES as u64,
            });
        }
        Ok(tree)
    }

    fn name_children(&mut self, items: &[Item<'_>], directory: usize) {
        let Some(item) = items.get(directory) else { return };
        // Joliet has no symlinks.
        let listed = |child: &Item<'_>| {
            self.namespace == Namespace::Primary || !matches!(child.kind, Kind::Symlink(_))
        };
        let mut children: Vec<usize> =
            item.children.clone().filter(|&i| items.get(i).is_some_and(listed)).collect();
        let input = children
            .iter()
            .filter_map(|&i| items.get(i))
            .map(|child| (child.name, matches!(child.kind, Kind::Directory { .. })));
        let identifiers = match self.namespace {
            Namespace::Primary => names::identifiers(input),
            Namespace::Joliet => joliet::identifiers(input),
        };
        for (&child, identifier) in children.iter().zip(identifiers) {
            if let Some(slot) = self.identifiers.get_mut(child) {
                *slot = identifier;
            }
        }
        match self.namespace {
            Namespace::Primary => children
                .sort_by(|&a, &b| names::sort_key(self.id(a)).cmp(&names::sort_key(self.id(b)))),
            Namespace::Joliet => children.sort_by(|&a, &b| self.id(a).cmp(self.id(b))),
        }
        if let Some(slot) = self.children.get_mut(directory) {
            *slot = children;
        }
    }

    fn id(&self, item: usize) -> &[u8] {
        self.identifiers.get(item).map_or(&[], Vec::as_slice)
    }

    fn extent(&self, item: usize) -> Extent {
        self.extents.get(item).copied().unwrap_or_default()
    }

    /// Position of the root directory.
    pub(crate) fn root(&self) -> Extent {
        self.extent(0)
    }

    /// Assigns positions to all directories, from `next` on. Returns the first free block.
    pub(crate) fn place(&mut self, items: &[Item<'_>], mut next: u64) -> Result<u64, WriteError> {
        for i in 0..self.directories.len() {
            let Some(&directory) = self.directories.get(i) else { break };
            let encoded = self.encode(items, directory);
            let too_large = |_| WriteError::TooLarge {
                what: "the list of a directory in bytes".to_owned(),
                size: encoded.records.len() as u64,
                limit: u64::from(u32::MAX),
            };
            let length = u32::try_from(encoded.records.len()).map_err(too_large)?;
            if let Some(slot) = self.extents.get_mut(directory) {
                *slot = Extent { block: block(next)?, length };
            }
            next +=
                blocks(encoded.records.len() as u64) + blocks(encoded.continuation.len() as u64);
        }
        Ok(next)
    }

    /// The bytes of all directories in position order, each in whole blocks.
    pub(crate) fn encode_directories<'a>(
        &'a self,
        items: &'a [Item<'a>],
    ) -> impl Iterator<Item = Vec<u8>> + 'a {
        self.directories.iter().map(move |&directory| {
            let Encoded { mut records, continuation } = self.encode(items, directory);
            records.extend(continuation);
            records.resize(records.len().next_multiple_of(BLOCK), 0);
            records
        })
    }

    /// The path table, whose length does not depend on byte order and positions.
    pub(crate) fn path_table(&self, items: &[Item<'_>], order: Order) -> Vec<u8> {
        let mut numbers = vec![1_u16; items.len()];
        let mut table = Vec::new();
        for (number, &directory) in (1_u16..).zip(&self.directories) {
            if let Some(slot) = numbers.get_mut(directory) {
                *slot = number;
            }
            let parent = items.get(directory).map_or(0, |item| item.parent);
            let parent = numbers.get(parent).copied().unwrap_or(1);
            let identifier = if directory == 0 { &[0] } else { self.id(directory) };
            let block = self.extent(directory).block;
            append_path_record(&mut table, order, identifier, block, parent);
        }
        table
    }

    fn encode(&self, items: &[Item<'_>], directory: usize) -> Encoded {
        let own = self.extent(directory);
        let records_blocks = own.length.div_ceil(2048);
        let mut continuation =
            Continuation { block: own.block.saturating_add(records_blocks), data: Vec::new() };
        let mut records = Vec::new();
        let Some(item) = items.get(directory) else { return Encoded::default() };
        let role = if directory == 0 { Role::RootSelf } else { Role::Dots };
        let dots = [(directory, 0_u8, role), (item.parent, 1, Role::Dots)];
        for (target, identifier, role) in dots {
            let extent = self.extent(target);
            self.append(
                items,
                target,
                role,
                &[identifier],
                extent,
                &mut records,
                &mut continuation,
            );
        }
        for &child in self.children.get(directory).into_iter().flatten() {
            let extent = self.extent(child);
            let id = self.id(child);
            self.append(items, child, Role::Child, id, extent, &mut records, &mut continuation);
        }
        records.resize(records.len().next_multiple_of(BLOCK), 0);
        Encoded { records, continuation: continuation.data }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn append(
        &self,
        items: &[Item<'_>],
        item: usize,
        role: Role,
        identifier: &[u8],
        extent: Extent,
        records: &mut Vec<u8>,
        continuation: &mut Continuation,
    ) {
        let serial = u32::try_from(item).unwrap_or(u32::MAX).saturating_add(1);
        let Some(item) = items.get(item) else { return };
        let system_use = match self.namespace {
            Namespace::Primary => {
                let entries = rock_ridge::entries(item, serial, role);
                continuation.place(&entries, system_use_room(identifier))
            }
            Namespace::Joliet => Vec::new(),
        };
        let mut record = Record {
            block: extent.block,
            length: extent.length,
            time: time::encode_short(item.metadata.mtime),
            flags: FLAG_DIRECTORY,
            identifier,
            system_use: &system_use,
        };
        let Kind::File(source) = &item.kind else {
            record.flags = if matches!(item.kind, Kind::Symlink(_)) { 0 } else { FLAG_DIRECTORY };
            return record.append_to(records);
        };
        record.block = item.block;
        let mut rest = source.len();
        loop {
            let section = rest.min(MAX_SECTION);
            rest -= section;
            record.length = u32::try_from(section).unwrap_or(u32::MAX);
            record.flags = if rest > 0 { FLAG_MULTI_EXTENT } else { 0 };
            record.append_to(records);
            if rest == 0 {
                return;
            }
            record.block =
                record.block.saturating_add(u32::try_from(blocks(section)).unwrap_or(u32::MAX));
        }
    }

    /// The root's directory record in a volume descriptor (ECMA-119 8.4.18).
    pub(crate) fn root_record(&self, items: &[Item<'_>]) -> [u8; 34] {
        let Extent { block, length } = self.root();
        let time = time::encode_short(items.first().map_or(0, |root| root.metadata.mtime));
        let record = Record {
            block,
            length,
            time,
            flags: FLAG_DIRECTORY,
            identifier: &[0],
            system_use: &[],
        };
        let mut out = [0; 34];
        put(&mut out, 0, &record.encode());
        out
    }
}

#[derive(Default)]
struct Encoded {
    records: Vec<u8>,
    continuation: Vec<u8>,
}

fn is_directory(items: &[Item<'_>], item: usize) -> bool {
    matches!(items.get(item), Some(Item { kind: Kind::Directory { .. }, .. }))
}
