// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Assigns positions to everything before the first byte is written, so that an image can be
//! streamed.
//!
//! System area, descriptors, path tables, boot catalog, primary directories, Joliet
//! directories, files, EFI system partition, backup partition table.

use crate::bytes::{BLOCK_BYTES, blocks};
use crate::descriptors::{self, FIRST, TreeLocation};
use crate::hierarchy::{Hierarchy, Namespace};
use crate::items::{Item, Kind, MAX_SECTION, block, flatten, path};
use crate::model::{BiosBoot, Image};
use crate::records::Order;
use crate::{WriteError, el_torito, gpt, time};

/// Most sections of a file, because Linux reads no more (`fs/isofs/inode.c`,
/// `isofs_read_level3_size`): about 400 GiB.
const MAX_SECTIONS: u64 = 100;

/// An image with all positions, ready to be written.
pub struct Layout<'a> {
    pub(crate) image: &'a Image,
    pub(crate) items: Vec<Item<'a>>,
    pub(crate) primary: Hierarchy,
    pub(crate) joliet: Hierarchy,
    /// Blocks of the four path tables: little and big-endian of both trees.
    pub(crate) tables: [u32; 4],
    catalog: Option<u32>,
    bios: Option<usize>,
    files_end: u64,
    esp: Option<(u64, u64)>,
    blocks: u32,
}

impl<'a> Layout<'a> {
    /// Checks the image and assigns all positions.
    pub fn new(image: &'a Image) -> Result<Self, WriteError> {
        descriptors::check(&image.labels)?;
        if image.epoch > time::MAX {
            return Err(WriteError::Time { what: "volume".to_owned(), seconds: image.epoch });
        }
        let mut items = flatten(image)?;
        let mut primary = Hierarchy::new(Namespace::Primary, &items)?;
        let mut joliet = Hierarchy::new(Namespace::Joliet, &items)?;
        let bootable = image.boot.as_ref().is_some_and(|b| b.bios.is_some() || b.esp.is_some());

        // Primary, boot record, supplementary, terminator.
        let mut next = u64::from(FIRST) + if bootable { 4 } else { 3 };
        let mut tables = [0; 4];
        let table_blocks = [&primary, &joliet]
            .map(|tree| blocks(tree.path_table(&items, Order::Little).len() as u64));
        for (i, table) in tables.iter_mut().enumerate() {
            *table = block(next)?;
            next += if i < 2 { table_blocks[0] } else { table_blocks[1] };
        }
        let mut catalog = None;
        if bootable {
            catalog = Some(block(next)?);
            next += 1;
        }
        next = primary.place(&items, next)?;
        next = joliet.place(&items, next)?;
        next = place_files(&mut items, next)?;
        let mut layout = Self {
            image,
            items,
            primary,
            joliet,
            tables,
            catalog,
            bios: None,
            files_end: next,
            esp: None,
            blocks: 0,
        };
        layout.blocks = block(layout.place_boot(next)?)?;
        Ok(layout)
    }

    fn place_boot(&mut self, mut next: u64) -> Result<u64, WriteError> {
        let Some(boot) = &self.image.boot else { return Ok(next) };
        if let Some(BiosBoot { path, .. }) = &boot.bios {
            self.bios = self.find(path);
            if self.bios.is_none() {
                return Err(WriteError::BootImage { path: path.clone() });
            }
        }
        if let Some(code) = boot.mbr_code.as_ref().filter(|code| code.len() > gpt::CODE_LEN) {
            return Err(WriteError::TooLarge {
                what: "the boot code of the MBR in bytes".to_owned(),
                size: code.len() as u64,
                limit: gpt::CODE_LEN as u64,
            });
        }
        if let Some(esp) = &boot.esp {
            self.esp = Some((next, next + blocks(esp.len)));
            next += blocks(esp.len);
        }
        Ok(next + gpt::BACKUP_BLOCKS)
    }

    /// The size of the image in bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES
    }

    /// Blocks of the volume, which ends with the EFI system partition: the backup partition table
    /// is behind it.
    pub(crate) fn volume_blocks(&self) -> Result<u32, WriteError> {
        self.esp.map_or(Ok(self.blocks), |(_, to)| block(to))
    }

    /// A file of the tree by its path.
    fn find(&self, path: &str) -> Option<usize> {
        let mut at = 0;
        for name in path.split('/') {
            let mut children = self.items.get(at)?.children.clone();
            at = children.find(|&i| self.items.get(i).is_some_and(|item| item.name == name))?;
        }
        matches!(self.items.get(at)?.kind, Kind::File(_)).then_some(at)
    }

    /// The path of an item, for messages.
    pub(crate) fn path(&self, item: usize) -> String {
        path(&self.items, item)
    }

    /// The BIOS boot image, if it is to get a boot information table: its item.
    pub(crate) fn patched_item(&self) -> Option<usize> {
        let bios = self.image.boot.as_ref()?.bios.as_ref()?;
        self.bios.filter(|_| bios.info_table)
    }

    /// The fields of a directory tree in the volume descriptors.
    pub(crate) fn tree_location(&self, namespace: Namespace) -> TreeLocation {
        let (tree, [little, big]) = match (namespace, self.tables) {
            (Namespace::Primary, [little, big, ..]) => (&self.primary, [little, big]),
            (Namespace::Joliet, [.., little, big]) => (&self.joliet, [little, big]),
        };
        let table_len = tree.path_table(&self.items, Order::Little).len();
        TreeLocation {
            root: tree.root_record(&self.items),
            // 65,535 directories make a table of some 15 MB at most.
            table_len: u32::try_from(table_len).unwrap_or(u32::MAX),
            tables: [little, big],
        }
    }

    /// The boot catalog and its block, if the image boots.
    pub(crate) fn catalog(&self) -> Option<(u32, [u8; 2048])> {
        let block = self.catalog?;
        let boot = self.image.boot.as_ref()?;
        let bios =
            boot.bios.as_ref().zip(self.bios_block()).map(|(bios, block)| el_torito::Entry {
                platform: el_torito::PLATFORM_BIOS,
                sectors: bios.load_sectors,
                block,
            });
        let efi = self.esp.and_then(|(from, _)| {
            Some(el_torito::Entry {
                platform: el_torito::PLATFORM_EFI,
                // Up to the end of the volume (UEFI 2.10, 13.3.2.1). Firmware takes other counts for
                // 2048-byte sectors, and GRUB finds no partition of that size.
                sectors: 1,
                block: u32::try_from(from).ok()?,
            })
        });
        let catalog = match (bios, efi) {
            (Some(bios), Some(efi)) => el_torito::catalog(bios, &[efi]),
            (Some(only), None) | (None, Some(only)) => el_torito::catalog(only, &[]),
            (None, None) => return None,
        };
        Some((block, catalog))
    }

    fn bios_block(&self) -> Option<u32> {
        self.bios.and_then(|bios| self.items.get(bios)).map(|item| item.block)
    }

    /// The partition table, if the image boots.
    pub(crate) fn disk(&self) -> Option<gpt::Disk<'a>> {
        let boot = self.image.boot.as_ref()?;
        Some(gpt::Disk {
            guid: boot.disk_guid,
            blocks: u64::from(self.blocks),
            files: (u64::from(FIRST), self.files_end),
            esp: self.esp,
            code: boot.mbr_code.as_deref(),
            bios: self.bios_block(),
        })
    }
}

fn place_files(items: &mut [Item<'_>], mut next: u64) -> Result<u64, WriteError> {
    for i in 0..items.len() {
        let Some(Item { kind: Kind::File(source), .. }) = items.get(i) else { continue };
        let len = source.len;
        if len > MAX_SECTION * MAX_SECTIONS {
            return Err(WriteError::TooLarge {
                what: format!("{:?} in bytes", path(items, i)),
                size: len,
                limit: MAX_SECTION * MAX_SECTIONS,
            });
        }
        if let Some(item) = items.get_mut(i).filter(|_| len > 0) {
            item.block = block(next)?;
            next += blocks(len);
        }
    }
    Ok(next)
}
