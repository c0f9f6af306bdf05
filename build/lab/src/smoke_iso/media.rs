// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Media of a VM under test: the ISO, modified or not, a task ISO, and decoy disks.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use foundation::file;
use iso9660::reader::Volume;
use iso9660::task::TaskIso;
use serde_json::json;

use crate::qemu::{Drive, DriveKind, Kernel};

/// A modification of the ISO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Boot menu default: run from RAM.
    ToRam,
    /// One byte of the shim, which the firmware verifies.
    Shim,
    /// One byte of GRUB, which the shim verifies.
    Grub,
    /// One byte of the kernel, which the shim verifies for GRUB.
    Kernel,
    /// One byte of the initial RAM disk.
    Initramfs,
    /// One byte of the root file system.
    Root,
    /// One byte of `/live/medium`: looks like another medium with the same label.
    Medium,
}

/// Webhook secret, used in this test only.
pub(super) const SECRET: &str = "not-a-secret\"\\$x";
/// Job id of the task.
pub(super) const JOB: &str = "smoke-1";
/// Serial number of the VM.
pub(super) const SERIAL: &str = "SMOKE1";

/// Disks of [`Task::Erase`]: name, kind, and their link of udev.
pub(super) const ERASED: [(&str, DriveKind, &str); 2] = [
    ("erased1", DriveKind::Nvme, "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_erased1"),
    ("erased2", DriveKind::Disk, "/dev/disk/by-id/virtio-erased2"),
];
/// Their size, and the byte that they are filled with.
const ERASED_SIZE: usize = 64 << 20;
const ERASED_BYTE: u8 = 0xa5;

/// Size limit for kernel and initial RAM disk, in bytes.
const KERNEL_LIMIT: u64 = 64 << 20;

/// Copies the ISO to `to` and applies `change`.
pub(super) fn copy_with_change(iso: &Path, to: &Path, change: Change) -> Result<()> {
    fs::copy(iso, to).with_context(|| format!("cannot copy the ISO to {}", to.display()))?;
    let mut volume = Volume::open(File::open(iso)?)?;
    let mut start = |path: &str| -> Result<(u64, u64)> {
        let entry = volume.find(path)?;
        let start = entry.start().with_context(|| format!("{path} is empty"))?;
        Ok((start, entry.size()))
    };
    let at = match change {
        Change::ToRam => {
            let (at, size) = start("boot/grub/grub.cfg")?;
            return replace(
                to,
                at,
                size,
                "set default=live # or toram",
                "set default=toram # or live",
            );
        }
        Change::Medium => start("live/medium")?.0 + 10,
        Change::Kernel => middle(start("live/vmlinuz")?),
        Change::Initramfs => middle(start("live/initramfs.img")?),
        Change::Root => {
            // The inode table, which mounting reads, is at the end of a squashfs.
            let (at, size) = start("live/root.squashfs")?;
            at + size - 16 * 1024
        }
        Change::Shim | Change::Grub => {
            let images = volume.boot_images()?;
            let esp = images.iter().find(|image| image.is_efi()).context("the ISO has no ESP")?;
            let programs = programs(iso, esp.offset)?;
            let index = usize::from(change == Change::Grub);
            programs.get(index).context("the ESP has fewer programs than two")? + 0x1_0000
        }
    };
    flip(to, at)
}

/// Kernel, initial RAM disk and command line from the ISO's boot menu, written to `folder`.
pub(super) fn kernel(iso: &Path, folder: &Path) -> Result<Kernel> {
    let mut volume = Volume::open(File::open(iso)?)?;
    let mut take = |path: &str| -> Result<Vec<u8>> {
        let entry = volume.find(path)?;
        Ok(volume.read_file(&entry, KERNEL_LIMIT)?)
    };
    let menu = String::from_utf8(take("boot/grub/grub.cfg")?)?;
    let line = menu.lines().find_map(|line| line.trim().strip_prefix("linux /live/vmlinuz "));
    let command_line = line.context("the boot menu starts no kernel")?.to_owned();
    let mut write = |name: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, take(&format!("live/{name}"))?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    Ok(Kernel { image: write("vmlinuz")?, initramfs: write("initramfs.img")?, command_line })
}

fn middle((start, size): (u64, u64)) -> u64 {
    start + size / 2
}

/// Offsets of EFI programs: sectors that start with the DOS magic `MZ`.
fn programs(iso: &Path, esp: u64) -> Result<Vec<u64>> {
    let mut file = File::open(iso)?;
    file.seek(SeekFrom::Start(esp))?;
    let mut found = Vec::new();
    let mut sector = [0; 512];
    let mut at = esp;
    while file.read_exact(&mut sector).is_ok() {
        if sector.starts_with(b"MZ") {
            found.push(at);
        }
        at += 512;
    }
    Ok(found)
}

/// Flips one bit of the byte at `at`.
fn flip(path: &Path, at: u64) -> Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&byte.map(|byte| byte ^ 1))?;
    Ok(())
}

/// Replaces `old` with `new` of the same length within `size` bytes at `at`.
fn replace(path: &Path, at: u64, size: u64, old: &str, new: &str) -> Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut text = String::new();
    std::io::Read::by_ref(&mut file).take(size).read_to_string(&mut text)?;
    let Some(place) = text.find(old) else { bail!("the boot menu has no {old:?}") };
    file.seek(SeekFrom::Start(at + place as u64))?;
    file.write_all(new.as_bytes())?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Installs Linux.
    Good,
    /// Erases [`ERASED`].
    Erase,
    /// Installs Linux, with the disk missing in the recipe.
    Invalid,
    /// Names a target that the image does not have.
    UnknownTarget,
}

/// Writes a task ISO to `path` that reports to the server at `url`. `root` is the repository.
pub(super) fn task(root: &Path, path: &Path, task: Task, url: &str, epoch: u64) -> Result<()> {
    let read = |name: &str| file::read(&root.join("crates/recipe").join(name));
    let recipe = match task {
        Task::Good => read("examples/install-linux-minimal.json")?,
        Task::Erase => {
            let disk = |(name, _, link): &(&str, DriveKind, &str)| json!({ "disk": link, "serial": name, "size": ERASED_SIZE });
            let disks: Vec<_> = ERASED.iter().map(disk).collect();
            json!({ "task_target": "erase.target", "erase_disks": disks }).to_string().into_bytes()
        }
        Task::Invalid => br#"{"task_target": "install-linux.target"}"#.to_vec(),
        Task::UnknownTarget => {
            br#"{"task_target": "install-esxi.target", "ks_cfg": "reboot\n"}"#.to_vec()
        }
    };
    let controller = json!({
        "webhook_url": format!("{url}/api/v1/status-webhook/{SERIAL}"),
        "webhook_secret": SECRET,
        "job_id": JOB,
    });
    let task = TaskIso {
        job_id: JOB.to_owned(),
        epoch,
        recipe,
        schema: read("schemas/recipe-1.1.schema.json")?,
        controller: Some(controller.to_string().into_bytes()),
        ..TaskIso::default()
    };
    task.write_to_file(path)?;
    Ok(())
}

/// The disks to erase, full of data.
pub(super) fn full_disks(folder: &Path) -> Result<Vec<Drive>> {
    let drive = |(name, kind, _): (&str, DriveKind, &str)| {
        let file = folder.join(format!("{name}.img"));
        fs::write(&file, vec![ERASED_BYTE; ERASED_SIZE])
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Drive { id: name.to_owned(), file, kind, bytes_per_second: 0 })
    };
    ERASED.into_iter().map(drive).collect()
}

/// Checks that `disk` has nothing left of its data.
pub(super) fn check_erased(disk: &Path) -> Result<()> {
    let contents = file::read(disk)?;
    ensure!(contents.len() == ERASED_SIZE, "{} has {} bytes", disk.display(), contents.len());
    ensure!(
        !contents.contains(&ERASED_BYTE),
        "{} still has data from before the erase",
        disk.display()
    );
    Ok(())
}

/// Decoy disks that must not be written to.
///
/// Signatures are written by hand, without programs of the host: a GPT with a data partition, LVM,
/// swap, an ext4 that was not unmounted, another medium with the ISO's label, and a volume labelled
/// like a task.
pub(super) fn decoys(iso: &Path, folder: &Path, epoch: u64) -> Result<Vec<Drive>> {
    const SIZE: u64 = 16 << 20;
    let drive =
        |name: &str, kind, file| Drive { id: name.to_owned(), file, kind, bytes_per_second: 0 };
    let disk = |name: &str, kind, marks: &[(u64, &[u8])]| -> Result<Drive> {
        let path = folder.join(format!("{name}.img"));
        let mut file = File::create(&path)?;
        file.set_len(SIZE)?;
        for (at, bytes) in marks {
            file.seek(SeekFrom::Start(*at))?;
            file.write_all(bytes)?;
        }
        Ok(drive(name, kind, path))
    };
    let mut disks = vec![
        disk(
            "lvm",
            DriveKind::Disk,
            &[(512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001")],
        )?,
        disk("swap", DriveKind::Disk, &[(1024, b"\x01\0\0\0\xff\x0f\0\0"), (4086, b"SWAPSPACE2")])?,
        // Superblock: magic 0xEF53, state 0 (not clean), needs recovery (ext4.h, s_state,
        // EXT4_FEATURE_INCOMPAT_RECOVER).
        disk(
            "ext4",
            DriveKind::Disk,
            &[(1024 + 56, b"\x53\xef\0\0"), (1024 + 76, b"\x01"), (1024 + 96, b"\x46\x02")],
        )?,
        disk(
            "gpt",
            DriveKind::Nvme,
            &[(510, b"\x55\xaa"), (450, b"\xee"), (512, b"EFI PART"), (1 << 20, b"data")],
        )?,
    ];
    let clone = folder.join("clone.img");
    copy_with_change(iso, &clone, Change::Medium)?;
    disks.push(drive("clone", DriveKind::Disk, clone));
    let named = folder.join("named.img");
    TaskIso { job_id: "decoy".to_owned(), epoch, ..TaskIso::default() }.write_to_file(&named)?;
    disks.push(drive("named", DriveKind::Disk, named));
    Ok(disks)
}
