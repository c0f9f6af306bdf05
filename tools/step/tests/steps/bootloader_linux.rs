// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step bootloader-linux` on a loop device, with the real GRUB, mtools and chroot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use recipe::TaskTarget;

use test_support::{assert_contains, file};

use crate::common::{Fixture, LoopDisk, Mounted, sh};

const TOOLS: [&str; 11] = [
    // grub-install reports "cannot find a GRUB drive" without it.
    "udevadm",
    "sgdisk",
    "wipefs",
    "partprobe",
    "blkid",
    "mkfs.vfat",
    "mkfs.ext4",
    "mcopy",
    "grub-mkimage",
    "grub-install",
    "chroot",
];

/// UEFI and BIOS on one disk; `/boot` on the root.
const BOTH: [&str; 4] =
    ["64M ef00 vfat ESP", "1M ef02 raw bios", "32M 8200 swap swap", "100% 8304 ext4 root"];

fn prepare_disk() -> Option<LoopDisk> {
    for modules in ["x86_64-efi/monolithic/gcdx64.efi", "i386-pc/modinfo.sh"] {
        file(&format!("/usr/lib/grub/{modules}"))?;
    }
    LoopDisk::new(&TOOLS, 300, 512)
}

/// A partitioned disk whose partition `root` contains `files`, and a task for it.
fn task(disk: &LoopDisk, layout: &[&str], root: usize, files: &[(&str, &[u8])]) -> Fixture {
    let task = Fixture::new(TaskTarget::InstallLinux).disk(&disk.link).layout(layout);
    task.step_ok(&["partition"]);
    let mounted = Mounted::new(&disk.partition(root));
    for (path, contents) in files {
        let path = mounted.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    task
}

const KERNEL: [(&str, &[u8]); 3] =
    [("boot/vmlinuz-6.1", b"kernel"), ("boot/initrd.img-6.1", b"initrd"), ("etc/hostname", b"n\n")];

fn esp_file(disk: &LoopDisk, path: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    sh("mcopy", &["-i", &disk.partition(1), path, file.to_str().unwrap()]);
    fs::read(file).unwrap()
}

#[test]
fn grub_is_installed_for_uefi_and_for_a_bios() {
    let Some(disk) = prepare_disk() else { return };
    let task = task(&disk, &BOTH, 4, &KERNEL);
    task.step_ok(&["bootloader-linux"]);
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    assert_eq!(task.count_left_in_work(), 0);

    // UEFI: a PE image at the path of removable media.
    let loader = esp_file(&disk, "::/EFI/BOOT/BOOTX64.EFI");
    assert_eq!(&loader[..2], b"MZ");
    let root_uuid = disk.tag(4, "UUID");
    assert!(
        loader.windows(root_uuid.len()).any(|bytes| bytes == root_uuid.as_bytes()),
        "the loader does not know its root"
    );
    // BIOS: GRUB's boot sector, and its core image in the BIOS boot partition.
    let disk_start = fs::read(&disk.device).unwrap();
    assert!(disk_start[..440].windows(4).any(|bytes| bytes == b"GRUB"));
    assert!(disk_start[65 << 20..66 << 20].iter().any(|byte| *byte != 0));

    let root = Mounted::new(&disk.partition(4));
    let fstab = fs::read_to_string(root.path("etc/fstab")).unwrap();
    let (esp, swap) = (disk.tag(1, "UUID"), disk.tag(3, "UUID"));
    assert_eq!(
        fstab,
        format!(
            "UUID={root_uuid} / ext4 defaults 0 1\n\
             UUID={esp} /boot/efi vfat umask=0077 0 2\n\
             UUID={swap} none swap sw 0 0\n"
        )
    );
    let config = fs::read_to_string(root.path("boot/grub/grub.cfg")).unwrap();
    let kernel = format!("linux /boot/vmlinuz-6.1 root=UUID={root_uuid} ro\n");
    assert!(config.contains(&kernel), "{config}");
    assert!(root.path("boot/grub/i386-pc/normal.mod").exists());
    let checked = sh("grub-script-check", &[root.path("boot/grub/grub.cfg").to_str().unwrap()]);
    assert_eq!(checked, "");
    drop(root);

    assert!(task.step_ok(&["bootloader-linux"]).contains("nothing to do"));
    // Run again over the existing files.
    fs::remove_file(task.path("state/bootloader-linux.json")).unwrap();
    task.step_ok(&["bootloader-linux"]);
}

#[test]
fn the_distributions_own_signed_loader_is_preferred() {
    let Some(disk) = prepare_disk() else { return };
    let mut files = KERNEL.to_vec();
    files.push(("usr/lib/shim/shimx64.efi.signed.1", b"signed shim"));
    files.push(("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"signed grub"));
    let task = task(&disk, &["64M ef00 vfat ESP", "100% 8304 ext4 root"], 2, &files);
    let root = Mounted::new(&disk.partition(2));
    // An absolute link, as Debian's alternatives create.
    let link = root.path("usr/lib/shim/shimx64.efi.signed");
    symlink("/usr/lib/shim/shimx64.efi.signed.1", link).unwrap();
    drop(root);
    task.step_ok(&["bootloader-linux"]);
    assert_eq!(esp_file(&disk, "::/EFI/BOOT/BOOTX64.EFI"), b"signed shim");
    assert_eq!(esp_file(&disk, "::/EFI/BOOT/grubx64.efi"), b"signed grub");
    let config = String::from_utf8(esp_file(&disk, "::/EFI/debian/grub.cfg")).unwrap();
    assert!(config.contains(&disk.tag(2, "UUID")), "{config}");
}

#[test]
fn a_failing_chroot_leaves_nothing_mounted_and_our_own_configuration() {
    let Some(disk) = prepare_disk() else { return };
    // The image has grub-mkconfig, but no shell to run it.
    let mut files = KERNEL.to_vec();
    files.push(("usr/sbin/grub-mkconfig", b"#!/bin/sh\n"));
    let task = task(&disk, &BOTH, 4, &files);
    let log = task.step_ok(&["bootloader-linux"]);
    assert!(log.contains("warning: `GRUB_DISABLE_OS_PROBER=true chroot"), "{log}");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    let root = Mounted::new(&disk.partition(4));
    assert!(root.path("boot/grub/grub.cfg").exists());
}

#[test]
fn a_failure_in_the_middle_unmounts_everything() {
    let Some(disk) = prepare_disk() else { return };
    let task = task(&disk, &BOTH, 4, &KERNEL[..1]);
    // The EFI system partition is no longer FAT: mcopy fails after all mounts.
    let zeros = format!("of={}", disk.partition(1));
    sh("dd", &["if=/dev/zero", &zeros, "bs=1M", "count=1", "conv=notrunc"]);
    let error = task.step_fails(&["bootloader-linux"]);
    assert!(error.contains("`MTOOLSRC=/dev/null"), "{error}");
    assert!(error.contains("clean-up: unmounted"), "{error}");
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let state = task.path("state");
    assert!(!table.contains(state.to_str().unwrap()), "{table}");
    assert_eq!(task.count_left_in_work(), 0);
    assert!(!task.path("state/bootloader-linux.json").exists());
    assert!(Path::new("/dev/null").exists(), "the clean-up went through a bind mount");
}

#[test]
fn what_a_killed_run_left_mounted_is_unmounted_and_not_emptied() {
    let Some(disk) = prepare_disk() else { return };
    let task = task(&disk, &BOTH, 4, &KERNEL);
    let left = task.path("state/work/bootloader-linux/root");
    fs::create_dir_all(&left).unwrap();
    sh("mount", &[&disk.partition(4), left.to_str().unwrap()]);
    assert_contains(task.step_ok(&["bootloader-linux"]), "was left mounted");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    let root = Mounted::new(&disk.partition(4));
    assert_eq!(fs::read(root.path("boot/vmlinuz-6.1")).unwrap(), b"kernel");
}

#[test]
fn an_image_without_a_kernel_is_refused() {
    let Some(disk) = prepare_disk() else { return };
    let task = task(&disk, &BOTH, 4, &[("etc/hostname", b"n\n")]);
    assert_contains(task.step_fails(&["bootloader-linux"]), "the image has no kernel");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
}

#[test]
fn a_layout_without_a_place_for_a_loader_is_refused() {
    let task =
        Fixture::new(TaskTarget::InstallLinux).disk("/dev/vdz").layout(&["100% 8300 ext4 root"]);
    assert_contains(task.step_fails(&["bootloader-linux"]), "no place for a boot loader");
    let task = Fixture::new(TaskTarget::InstallLinux)
        .disk("/dev/vdz")
        .layout(&["100M ef00 vfat esp", "100% 0700 ntfs data"]);
    assert_contains(task.step_fails(&["bootloader-linux"]), "no partition for a Linux root");
}
