// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The tree of an image as a list: parents before their children, the children of a folder together.
//! Both directory trees and the layout refer to nodes by their index in it.

use std::ops::Range;

use crate::WriteError;
use crate::model::{Image, MAX_DEPTH, Metadata, Node, Source, check_metadata};

/// Bytes of a section of a file except for the last: the largest whole number of blocks.
pub(crate) const MAX_SECTION: u64 = 0xFFFF_F800;

/// A node of the tree, in a list where the children of a folder are neighbours.
pub(crate) struct Item<'a> {
    pub(crate) name: &'a str,
    pub(crate) metadata: &'a Metadata,
    pub(crate) kind: Kind<'a>,
    pub(crate) parent: usize,
    pub(crate) children: Range<usize>,
    /// Position of a file's contents; 0 for an empty one.
    pub(crate) block: u32,
}

pub(crate) enum Kind<'a> {
    Directory { subdirectories: u32 },
    File(&'a Source),
    Symlink(&'a str),
}

/// A block number as the format stores it.
pub(crate) fn block(number: u64) -> Result<u32, WriteError> {
    u32::try_from(number).map_err(|_| WriteError::TooLarge {
        what: "the image in blocks of 2048 bytes".to_owned(),
        size: number,
        limit: u64::from(u32::MAX),
    })
}

/// The path of an item, for messages.
pub(crate) fn path(items: &[Item<'_>], item: usize) -> String {
    let mut names = Vec::new();
    let mut at = item;
    while let Some(item) = items.get(at).filter(|_| at != 0) {
        names.push(item.name);
        at = item.parent;
    }
    names.reverse();
    names.join("/")
}

/// Lists the tree level by level.
pub(crate) fn flatten(image: &Image) -> Result<Vec<Item<'_>>, WriteError> {
    check_metadata("/", &image.root.metadata)?;
    let mut items = vec![Item {
        name: "",
        metadata: &image.root.metadata,
        kind: Kind::Directory { subdirectories: 0 },
        parent: 0,
        children: 0..0,
        block: 0,
    }];
    let mut level = vec![(0, &image.root)];
    for depth in 0.. {
        if level.is_empty() {
            break;
        }
        let mut below = Vec::new();
        for (parent, directory) in level {
            let first = items.len();
            for (name, node) in directory.children() {
                let kind = match node {
                    Node::Directory(child) => {
                        below.push((items.len(), child));
                        Kind::Directory { subdirectories: 0 }
                    }
                    Node::File(_, source) => Kind::File(source),
                    Node::Symlink(_, target) => Kind::Symlink(target),
                };
                let metadata = node.metadata();
                items.push(Item { name, metadata, kind, parent, children: 0..0, block: 0 });
            }
            let count = directory.children().filter(|(_, n)| matches!(n, Node::Directory(_)));
            let subdirectories = u32::try_from(count.count()).unwrap_or(u32::MAX);
            let children = first..items.len();
            if let Some(item) = items.get_mut(parent) {
                item.children = children;
                item.kind = Kind::Directory { subdirectories };
            }
        }
        if depth >= MAX_DEPTH && !below.is_empty() {
            let path = below.first().map(|&(item, _)| path(&items, item)).unwrap_or_default();
            return Err(WriteError::Path { path, reason: "at most 255 folders inside each other" });
        }
        level = below;
    }
    Ok(items)
}
