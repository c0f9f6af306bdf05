// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! File tree and boot configuration of a live ISO.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use foundation::{checksum, file, tree};
use iso9660::{BiosBoot, Boot, Directory, Image, Labels, Metadata, Node, Source};
use release::Architecture;

use super::medium::{self, Medium};

/// Parts of a live ISO.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Architecture: only x86 has a BIOS.
    pub architecture: Architecture,
    /// Kernel.
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initramfs: PathBuf,
    /// squashfs root.
    pub root: PathBuf,
    /// Its dm-verity tree.
    pub verity: PathBuf,
    /// Root hash of the tree.
    pub root_hash: String,
    /// EFI system partition.
    pub esp: PathBuf,
    /// Unpacked packages with boot loaders.
    pub boot: PathBuf,
    /// Folder with `cmdline.txt`, `grub.cfg` and `isolinux.cfg`.
    pub description: PathBuf,
    /// Volume label.
    pub label: &'a str,
    /// Version in the boot menu.
    pub version: &'a str,
    /// Timestamp of all files, in seconds.
    pub epoch: u64,
}

/// Builds the image.
pub fn image(parts: &Parts<'_>) -> Result<Image> {
    let medium = facts(parts)?.to_text();
    let id = tree::digest_of_bytes(medium.as_bytes());
    let text = |name: &str| {
        let path = parts.description.join(name);
        file::read_text(&path)
    };
    let line = medium::command_line(&text("cmdline.txt")?, parts.architecture, parts.label, &id);
    let filled =
        |name: &str| Ok::<_, anyhow::Error>(medium::fill_in(&text(name)?, parts.version, &line));

    let mut files = Files::new(parts.epoch);
    // Debian's GRUB for CDs identifies its own volume by this file.
    files.bytes(".disk/info", format!("{} {}\n", parts.label, parts.version))?;
    files.bytes("boot/grub/grub.cfg", filled("grub.cfg")?)?;
    files.bytes("live/medium", medium)?;
    files.path("live/vmlinuz", &parts.kernel)?;
    files.path("live/initramfs.img", &parts.initramfs)?;
    files.path("live/root.verity", &parts.verity)?;
    files.path("live/root.squashfs", &parts.root)?;
    let bios = parts.architecture == Architecture::Amd64;
    if bios {
        files.bytes("isolinux/isolinux.cfg", filled("isolinux.cfg")?)?;
        files.path("isolinux/isolinux.bin", &parts.boot.join("usr/lib/ISOLINUX/isolinux.bin"))?;
        let module = parts.boot.join("usr/lib/syslinux/modules/bios/ldlinux.c32");
        files.path("isolinux/ldlinux.c32", &module)?;
    }
    let boot = Boot {
        bios: bios.then(|| BiosBoot {
            path: "isolinux/isolinux.bin".to_owned(),
            load_sectors: 4,
            info_table: true,
        }),
        esp: Some(source(&parts.esp)?),
        disk_guid: guid(&id)?,
        mbr_code: if bios { Some(mbr_code(&parts.boot)?) } else { None },
    };
    Ok(Image {
        labels: Labels { volume: parts.label.to_owned(), ..Labels::default() },
        epoch: parts.epoch,
        root: files.root,
        boot: Some(boot),
    })
}

fn facts(parts: &Parts<'_>) -> Result<Medium> {
    let (root, length) = checksum::sha256(&parts.root)?;
    if length % 4096 != 0 {
        bail!("the size of {} is not a multiple of the block size", parts.root.display());
    }
    let (initramfs, initramfs_length) = checksum::sha256(&parts.initramfs)?;
    Ok(Medium {
        kernel: checksum::sha256(&parts.kernel)?.0,
        initramfs,
        initramfs_length,
        root,
        verity: parts.root_hash.clone(),
        length,
    })
}

/// Boot code for BIOS boot from a USB stick.
fn mbr_code(boot: &Path) -> Result<Vec<u8>> {
    let path = boot.join("usr/lib/ISOLINUX/isohdpfx.bin");
    file::read(&path)
}

/// The disk's GUID: a GUID of version 8 (RFC 9562, 5.8) from the start of the medium's digest.
fn guid(sha256: &str) -> Result<[u8; 16]> {
    let mut guid = [0; 16];
    for (index, byte) in guid.iter_mut().enumerate() {
        let digits = sha256.get(index * 2..index * 2 + 2).context("a digest is too short")?;
        *byte = u8::from_str_radix(digits, 16).context("a digest is not hexadecimal")?;
    }
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut guid;
    *version = 0x80 | (*version & 0x0f);
    *variant = 0x80 | (*variant & 0x3f);
    Ok(guid)
}

fn source(path: &Path) -> Result<Source> {
    Source::path(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Builder of the file tree.
struct Files {
    root: Directory,
    metadata: Metadata,
}

impl Files {
    fn new(epoch: u64) -> Self {
        let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: epoch };
        Self { root: Directory::new(metadata(0o555)), metadata: metadata(0o444) }
    }

    fn bytes(&mut self, path: &str, content: impl Into<Vec<u8>>) -> Result<()> {
        Ok(self.root.insert(path, Node::File(self.metadata, Source::bytes(content)))?)
    }

    fn path(&mut self, path: &str, from: &Path) -> Result<()> {
        Ok(self.root.insert(path, Node::File(self.metadata, source(from)?))?)
    }
}
