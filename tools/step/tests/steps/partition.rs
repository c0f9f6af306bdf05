// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step partition` on loop devices, with the real sgdisk, wipefs, partprobe and mkfs.*.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use crate::common::{Fixture, LoopDisk, Mounted, sh};
use crate::registry::Registry;
use recipe::TaskTarget;
use test_support::assert_contains;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const TOOLS: [&str; 9] = [
    "sgdisk",
    "wipefs",
    "partprobe",
    "blkid",
    "mkfs.vfat",
    "mkfs.ext4",
    "mkfs.xfs",
    "mkfs.btrfs",
    "mkfs.ntfs",
];

fn task(disk: &LoopDisk, layout: &[&str]) -> Fixture {
    Fixture::new(TaskTarget::InstallLinux).disk(&disk.link).layout(layout)
}

#[test]
fn every_format_is_made_with_its_label_and_its_id() {
    let Some(disk) = LoopDisk::new(&TOOLS, 2048, 512) else { return };
    let task = task(
        &disk,
        &[
            "100M ef00 vfat EFI-system-partition",
            "1M ef02 raw bios",
            "64M 8200 swap swap",
            "128M 8300 btrfs data",
            "50M 0700 ntfs Recovery",
            "320M 8300 xfs a:b",
            "40% 8304 ext4 root",
            "100% 933AC7E1-2EB4-4F13-B844-0E14E2AEF915 ext4 home",
        ],
    );
    task.step_ok(&["partition"]);

    let formats: Vec<String> = (1..=8).map(|number| disk.tag(number, "TYPE")).collect();
    assert_eq!(formats, ["vfat", "", "swap", "btrfs", "ntfs", "xfs", "ext4", "ext4"]);
    let labels: Vec<String> = (1..=8).map(|number| disk.tag(number, "LABEL")).collect();
    assert_eq!(labels, ["EFI-SYSTEM-", "", "swap", "data", "Recovery", "a:b", "root", "home"]);
    let types: Vec<String> = sh("sgdisk", &["--print", &disk.device])
        .lines()
        .skip_while(|line| !line.starts_with("Number"))
        .skip(1)
        .map(|line| line.split_whitespace().nth(5).unwrap().to_owned())
        .collect();
    assert_eq!(types, ["EF00", "EF02", "8200", "8300", "0700", "8300", "8304", "8302"]);
    sh("sgdisk", &["--verify", &disk.device]);

    // A second run does nothing; the same task on a wiped disk gives the same ids.
    let uuids = |disk: &LoopDisk| -> Vec<String> {
        [1, 3, 4, 6, 7, 8].map(|number| disk.tag(number, "UUID")).to_vec()
    };
    let first = uuids(&disk);
    assert!(first.iter().all(|uuid| !uuid.is_empty()), "{first:?}");
    assert!(task.step_ok(&["partition"]).contains("nothing to do"));
    fs::remove_file(task.path("state/partition.json")).unwrap();
    task.step_ok(&["partition"]);
    assert_eq!(uuids(&disk), first);
    assert_eq!(task.count_left_in_work(), 0);
}

#[test]
fn a_disk_with_large_sectors_is_partitioned_in_its_own_unit() {
    let Some(disk) = LoopDisk::new(&TOOLS, 256, 4096) else { return };
    let task = task(&disk, &["64M 8300 ext4 root", "100% 8300 ext4 data"]);
    task.step_ok(&["partition"]);
    let first = sh("sgdisk", &["--info=1", &disk.device]);
    assert!(first.contains("First sector: 256 (at 1024.0 KiB)"), "{first}");
    assert!(first.contains("64.0 MiB"), "{first}");
    assert_contains(sh("sgdisk", &["--info=2", &disk.device]), "190.0 MiB");
}

#[test]
fn old_signatures_are_gone() {
    let Some(disk) = LoopDisk::new(&TOOLS, 128, 512) else { return };
    sh("mkfs.btrfs", &["-q", "-f", &disk.device]);
    let old = task(&disk, &["100% 8300 ext4 old"]);
    old.step_ok(&["partition"]);
    let new = task(&disk, &["100% 8300 raw new"]);
    new.step_ok(&["partition"]);
    assert_eq!(disk.tag(1, "TYPE"), "", "the old file system is still there");
    let whole = sh("wipefs", &["--noheadings", "--output", "TYPE", &disk.device]);
    assert!(!whole.contains("btrfs"), "{whole}");
}

#[test]
fn a_disk_is_left_alone_until_the_registry_has_the_image() {
    let Some(disk) = LoopDisk::new(&TOOLS, 128, 512) else { return };
    let layout = ["100% 8300 ext4 root"];
    task(&disk, &layout).step_ok(&["partition"]);
    let registry = Registry::start();
    let layer = |name: &str| (TAR, name.as_bytes().to_vec());
    let large = registry.image("large", &[(TAR, vec![0; 129 << 20])]);
    let gone = registry.image("gone", &[layer("a"), layer("b")]);
    registry.remove_blob("gone", b"b");
    let other = registry.image("other", &[layer("c")]).replace(":1", ":2");
    for (reference, expected) in [
        ("127.0.0.1:1/os/none:1", "127.0.0.1:1"),
        (&*other, "404"),
        (&*gone, "is not in the registry"),
        (&*large, "and the disk 128 MiB"),
    ] {
        let error =
            task(&disk, &layout).image(reference).step_fails(&["partition", "--check-image"]);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(reference), "{error}");
    }
    assert_eq!(disk.tag(1, "LABEL"), "root");
    let good = registry.image("good", &[layer("a")]);
    let written = task(&disk, &["100% 8300 ext4 new"]).image(&good);
    written.step_ok(&["partition", "--check-image"]);
    assert_eq!(disk.tag(1, "LABEL"), "new");
}

#[test]
fn a_mounted_disk_is_left_alone() {
    let Some(disk) = LoopDisk::new(&TOOLS, 128, 512) else { return };
    let task = task(&disk, &["64M 8300 ext4 root", "100% 8300 ext4 data"]);
    task.step_ok(&["partition"]);
    let before = disk.tag(2, "UUID");
    let mounted = Mounted::new(&disk.partition(2));
    // A finished step is not repeated, even if the disk is in use now.
    assert!(task.step_ok(&["partition"]).contains("nothing to do"));

    fs::remove_file(task.path("state/partition.json")).unwrap();
    let error = task.step_fails(&["partition"]);
    let name = format!("{} is mounted at {}", disk.partition(2), mounted.path("").display());
    assert!(error.contains(name.trim_end_matches('/')), "{error}");
    drop(mounted);
    assert_eq!(disk.tag(2, "UUID"), before);
    task.step_ok(&["partition"]);
}

#[test]
fn a_partition_and_a_read_only_disk_are_left_alone() {
    let Some(disk) = LoopDisk::new(&TOOLS, 64, 512) else { return };
    let layout = ["100% 8300 ext4 root"];
    // An ISO image left by a previous user: no reason to reject a fixed disk.
    let mut file = fs::OpenOptions::new().write(true).open(&disk.device).unwrap();
    file.seek(SeekFrom::Start(32_768)).unwrap();
    let mut descriptor = b"\x01CD001".to_vec();
    descriptor.resize(40, 0);
    descriptor.extend(b"TASK_EVIL                       ");
    file.write_all(&descriptor).unwrap();
    file.sync_all().unwrap();
    drop(file);

    sh("blockdev", &["--setro", &disk.device]);
    assert_contains(task(&disk, &layout).step_fails(&["partition"]), "read-only");
    sh("blockdev", &["--setrw", &disk.device]);

    task(&disk, &layout).step_ok(&["partition"]);
    let name = disk.link.clone() + "-inner";
    std::os::unix::fs::symlink(disk.partition(1), &name).unwrap();
    let error = Fixture::new(TaskTarget::InstallLinux)
        .disk(&name)
        .layout(&layout)
        .step_fails(&["partition"]);
    fs::remove_file(&name).unwrap();
    assert!(error.contains("is a partition, not a whole disk"), "{error}");
}

#[test]
fn a_disk_that_is_too_small_is_left_alone() {
    let Some(disk) = LoopDisk::new(&TOOLS, 64, 512) else { return };
    sh("mkfs.ext4", &["-q", "-F", &disk.device]);
    let task = task(&disk, &["512M ef00 vfat esp", "100% 8300 ext4 root"]);
    let error = task.step_fails(&["partition"]);
    assert!(error.contains("room for 62 MiB"), "{error}");
    assert!(error.contains("ask for 512 MiB"), "{error}");
    assert_eq!(sh("blkid", &["-p", "-o", "value", "-s", "TYPE", &disk.device]), "ext4\n");
}

#[test]
fn a_mkfs_that_fails_is_named_with_what_it_printed() {
    let Some(disk) = LoopDisk::new(&TOOLS, 64, 512) else { return };
    // XFS needs more space than this.
    let task = task(&disk, &["4M 8300 xfs root"]);
    let error = task.step_fails(&["partition"]);
    assert!(error.contains("`mkfs.xfs -q -f"), "{error}");
    assert!(error.contains("output:"), "{error}");
    assert!(!task.path("state/partition.json").exists());
}
