// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step erase` on loop devices; their serial number is the path of the backing file.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use recipe::{EraseDisk, EraseDisks, TaskTarget};

use crate::common::{Fixture, LoopDisk, Mounted, sh};

const MIB: usize = 1 << 20;
const SIZE: u64 = 64 << 20;
const TOOLS: [&str; 3] = ["blkdiscard", "partprobe", "mkfs.ext4"];

fn disk() -> Option<LoopDisk> {
    LoopDisk::new(&TOOLS, SIZE >> 20, 512)
}

fn name_disk(disk: &LoopDisk) -> EraseDisk {
    let name = disk.device.trim_start_matches("/dev/");
    let serial = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap();
    EraseDisk {
        disk: disk.link.parse().unwrap(),
        serial: serial.trim().parse().unwrap(),
        size: SIZE.try_into().unwrap(),
    }
}

fn task(disks: &[EraseDisk]) -> Fixture {
    let mut task = Fixture::new(TaskTarget::Erase);
    task.provision.erase = Some(EraseDisks::new(disks.to_vec()).unwrap());
    task
}

/// Fills a disk with contents that are not zero.
fn fill(disk: &LoopDisk) {
    let (file, bytes) = (File::options().write(true).open(&disk.device).unwrap(), vec![7; MIB]);
    for at in (0..SIZE).step_by(MIB) {
        file.write_all_at(&bytes, at).unwrap();
    }
    file.sync_all().unwrap();
}

/// Number of bytes of a disk that are not zero.
fn count_nonzero(disk: &LoopDisk) -> usize {
    let mut bytes = Vec::new();
    File::open(&disk.device).unwrap().read_to_end(&mut bytes).unwrap();
    bytes.iter().filter(|byte| **byte != 0).count()
}

#[test]
fn disks_are_erased_and_reported() {
    let (Some(first), Some(second)) = (disk(), disk()) else { return };
    fill(&first);
    fill(&second);
    let task = task(&[name_disk(&first), name_disk(&second)]);
    let log = task.step_ok(&["erase"]);
    assert_eq!((count_nonzero(&first), count_nonzero(&second)), (0, 0));
    let report = fs::read_to_string(task.path("state/report")).unwrap();
    assert_eq!(report.lines().count(), 2, "{report}");
    for (line, disk) in report.lines().zip([&first, &second]) {
        assert!(line.starts_with(&format!("{}: serial number /", disk.device)), "{line}");
        assert!(line.contains("67108864 bytes; discard; verified by 1024 reads"), "{line}");
        assert!(log.contains(line), "{log}");
    }
    assert!(task.step_ok(&["erase"]).contains("nothing to do"));
}

/// All checks come first: with one wrong disk, none is touched.
#[test]
fn a_disk_with_another_identity_is_left_alone_and_so_are_all() {
    let (Some(right), Some(wrong)) = (disk(), disk()) else { return };
    fill(&right);
    fill(&wrong);
    let good = name_disk(&wrong);
    for (bad, expected) in [
        (EraseDisk { serial: "S1".parse().unwrap(), ..good.clone() }, "the recipe names \"S1\""),
        (EraseDisk { size: 512.try_into().unwrap(), ..good.clone() }, "the recipe names 512"),
        (
            EraseDisk { disk: format!("{}-x", wrong.link).parse().unwrap(), ..good.clone() },
            "cannot find the disk",
        ),
        (name_disk(&right), "is named twice"),
    ] {
        test_support::assert_contains(
            task(&[name_disk(&right), bad]).step_fails(&["erase"]),
            expected,
        );
    }
    let all = usize::try_from(SIZE).unwrap();
    assert_eq!((count_nonzero(&right), count_nonzero(&wrong)), (all, all));
}

#[test]
fn a_disk_in_use_is_left_alone() {
    let Some(disk) = disk() else { return };
    sh("mkfs.ext4", &["-q", &disk.device]);
    let mounted = Mounted::new(&disk.device);
    fs::write(mounted.path("file"), "contents").unwrap();
    let error = task(&[name_disk(&disk)]).step_fails(&["erase"]);
    assert!(error.contains("is in use") && error.contains("is mounted at"), "{error}");
    assert_eq!(fs::read_to_string(mounted.path("file")).unwrap(), "contents");
}

#[test]
fn a_recipe_without_disks_erases_nothing() {
    let error = Fixture::new(TaskTarget::Erase).step_fails(&["erase"]);
    assert!(error.contains("the recipe has no erase_disks"), "{error}");
}
