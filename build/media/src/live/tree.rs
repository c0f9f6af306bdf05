// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files of a live ISO, and how it boots.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use foundation::{checksum, tree};
use iso9660::{BiosBoot, Boot, Directory, Image, Labels, Metadata, Node, Source};
use release::Architecture;

use super::medium::{self, Medium};

/// What a live ISO is put together from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Processor architecture: only x86 has a BIOS.
    pub architecture: Architecture,
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initramfs: PathBuf,
    /// The compressed root.
    pub root: PathBuf,
    /// Its tree of hashes.
    pub verity: PathBuf,
    /// The hash at the top of that.
    pub root_hash: String,
    /// The EFI system partition.
    pub esp: PathBuf,
    /// The unpacked packages with boot loaders.
    pub boot: PathBuf,
    /// The folder with `cmdline.txt`, `grub.cfg` and `isolinux.cfg`.
    pub description: PathBuf,
    /// The volume label.
    pub label: &'a str,
    /// What the boot menu calls it.
    pub version: &'a str,
    /// Every time, in seconds.
    pub epoch: u64,
}

/// The image, to be written.
pub fn image(parts: &Parts<'_>) -> Result<Image> {
    let medium = facts(parts)?.to_text();
    let id = tree::digest_of_bytes(medium.as_bytes());
    let text = |name: &str| {
        let path = parts.description.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let line = medium::command_line(&text("cmdline.txt")?, parts.architecture, parts.label, &id);
    let filled =
        |name: &str| Ok::<_, anyhow::Error>(medium::fill_in(&text(name)?, parts.version, &line));

    let mut files = Files::new(parts.epoch);
    // Debian's GRUB for CDs takes the volume that has this file for the one that it came from.
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
        bail!("{} has no whole number of blocks", parts.root.display());
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

/// What a BIOS runs that starts from the image on a stick.
fn mbr_code(boot: &Path) -> Result<Vec<u8>> {
    let path = boot.join("usr/lib/ISOLINUX/isohdpfx.bin");
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The disk's GUID: the start of the medium's digest, as a GUID of version 8, whose bits are for
/// whoever makes it (RFC 9562, 5.8).
fn guid(sha256: &str) -> Result<[u8; 16]> {
    let mut guid = [0; 16];
    for (index, byte) in guid.iter_mut().enumerate() {
        let digits = sha256.get(index * 2..index * 2 + 2).context("a digest is too short")?;
        *byte = u8::from_str_radix(digits, 16).context("a digest is no hex")?;
    }
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut guid;
    *version = 0x80 | (*version & 0x0f);
    *variant = 0x80 | (*variant & 0x3f);
    Ok(guid)
}

fn source(path: &Path) -> Result<Source> {
    Source::path(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The tree while it grows.
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
