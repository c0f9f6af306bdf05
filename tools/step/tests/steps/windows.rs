// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step image-windows` and `step bootloader-windows` on a loop device, with the real wimlib,
//! ntfs-3g and hivex, and a WIM with Windows' file layout.

use std::fs;
use std::path::Path;

use recipe::{TaskTarget, UnattendXml};

use test_support::{assert_contains, machine_gives};

use crate::common::{Fixture, LoopDisk, sh};
use crate::registry::Registry;

const TOOLS: [&str; 9] = [
    "sgdisk",
    "mkfs.ntfs",
    "mkfs.vfat",
    "wimlib-imagex",
    "lowntfs-3g",
    "ntfscat",
    "hivexregedit",
    "hivexget",
    "mcopy",
];
const LAYOUT: [&str; 3] = ["64M ef00 vfat SYSTEM", "16M 0c01 raw -", "100% 0700 ntfs Windows"];
const UNATTEND: &str = "<?xml version=\"1.0\"?>\n<unattend/>\n";

fn prepare_disk() -> Option<LoopDisk> {
    if !machine_gives("/dev/fuse", Path::new("/dev/fuse").exists()) {
        return None;
    }
    LoopDisk::new(&TOOLS, 256, 512)
}

/// The WIM of the end-to-end tests too, with the folders of an installed Windows.
fn wim(pipable: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-artifacts/windows/build");
    let file = dir.path().join("image.wim");
    let file = file.to_str().unwrap();
    sh("env", &["SOURCE_DATE_EPOCH=0", "sh", script, file]);
    if !pipable {
        sh("wimlib-imagex", &["optimize", file, "--not-pipable"]);
    }
    fs::read(file).unwrap()
}

/// Content of a file in that WIM.
fn content_of(path: &str) -> String {
    format!("replaces Windows/{path}, not for production\r\n")
}

fn task(disk: &LoopDisk, reference: &str) -> Fixture {
    let mut task =
        Fixture::new(TaskTarget::InstallWindows).disk(&disk.link).layout(&LAYOUT).image(reference);
    task.provision.unattend_xml = Some(UnattendXml::new(UNATTEND).unwrap());
    task.step_ok(&["partition"]);
    task
}

fn ntfs_file(disk: &LoopDisk, path: &str) -> String {
    sh("ntfscat", &[&disk.partition(3), path])
}

#[test]
fn a_wim_is_applied_and_made_to_boot() {
    let Some(disk) = prepare_disk() else { return };
    let registry = Registry::start();
    let reference = registry.image("windows", &[("application/x-ms-wim", wim(true))]);
    let task = task(&disk, &reference);
    let log = task.step_ok(&["image-windows"]);
    assert!(!log.contains("<unattend"), "contents were logged:\n{log}");
    assert_eq!(
        ntfs_file(&disk, "Windows/System32/winload.efi"),
        content_of("System32/winload.efi")
    );
    assert_eq!(ntfs_file(&disk, "Windows/Panther/unattend.xml"), UNATTEND);
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    assert!(task.step_ok(&["image-windows"]).contains("nothing to do"));

    task.step_ok(&["bootloader-windows"]);
    let esp = disk.partition(1);
    let read = |path: &str| sh("mcopy", &["-n", "-i", &esp, path, "-"]);
    for (path, from) in [
        ("Boot/bootx64.efi", "Boot/EFI/bootmgfw.efi"),
        ("Microsoft/Boot/bootmgfw.efi", "Boot/EFI/bootmgfw.efi"),
        ("Microsoft/Boot/en-US/bootmgfw.efi.mui", "Boot/EFI/en-US/bootmgfw.efi.mui"),
        ("Microsoft/Boot/Fonts/wgl4_boot.ttf", "Boot/Fonts/wgl4_boot.ttf"),
        ("Microsoft/Boot/Resources/bootres.dll", "Boot/Resources/bootres.dll"),
    ] {
        assert_eq!(read(&format!("::/EFI/{path}")), content_of(from), "{path}");
    }

    // The store, read by hivex: the default loader exists and refers to our partition.
    let store = task.path("BCD");
    let store = store.to_str().unwrap();
    sh("mcopy", &["-n", "-i", &esp, "::/EFI/Microsoft/Boot/BCD", store]);
    let manager = r"\Objects\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\Elements\23000003";
    let default = sh("hivexget", &[store, manager, "Element"]);
    let loader = format!(r"\Objects\{}\Elements", default.trim());
    let path = sh("hivexget", &[store, &format!(r"{loader}\12000002"), "Element"]);
    assert_eq!(path.trim(), r"\Windows\system32\winload.efi");
    let export = sh("hivexregedit", &["--export", store, &format!(r"{loader}\21000001")]);
    // GUID bytes in UEFI's order: the first fields are little-endian.
    let guid = sh("sgdisk", &["--info=3", &disk.device]);
    let guid = guid.lines().find_map(|line| line.strip_prefix("Partition unique GUID: ")).unwrap();
    let first: Vec<String> = (0..4).rev().map(|i| guid[2 * i..2 * i + 2].to_lowercase()).collect();
    assert!(export.contains(&first.join(",")), "{guid} is not in {export}");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    assert_eq!(task.count_left_in_work(), 0);
    assert!(task.step_ok(&["bootloader-windows"]).contains("nothing to do"));
}

#[test]
fn a_wim_that_cant_be_piped_is_stored_first_and_a_second_attempt_starts_clean() {
    let Some(disk) = prepare_disk() else { return };
    let registry = Registry::start();
    let bytes = wim(false);
    let reference = registry.image("windows", &[("application/x-ms-wim", bytes.clone())]);
    let task = task(&disk, &reference);
    registry.corrupt("windows", &bytes);
    assert_contains(task.step_fails(&["image-windows"]), "content has the digest");
    assert_eq!(task.count_left_in_work(), 0);

    registry.image("windows", &[("application/x-ms-wim", bytes)]);
    task.step_ok(&["image-windows"]);
    assert_eq!(
        ntfs_file(&disk, "Windows/System32/winload.efi"),
        content_of("System32/winload.efi")
    );
    // Run again over the existing files.
    fs::remove_file(task.path("state/image-windows.json")).unwrap();
    task.step_ok(&["image-windows"]);
}

#[test]
fn what_is_no_wim_is_refused_and_wimlibs_complaint_is_shown() {
    let Some(disk) = prepare_disk() else { return };
    let registry = Registry::start();
    let task = task(&disk, &registry.image("windows", &[("application/x-ms-wim", b"no".to_vec())]));
    assert_contains(task.step_fails(&["image-windows"]), "the layer is not a WIM");

    let mut bytes = wim(true);
    bytes.truncate(bytes.len() / 2);
    registry.image("windows", &[("application/x-ms-wim", bytes)]);
    let error = task.step_fails(&["image-windows"]);
    assert!(error.contains("`wimlib-imagex apply - 1"), "{error}");
    assert!(error.contains("output:"), "{error}");

    let layer = ("application/x-ms-wim", wim(true));
    registry.image("windows", &[layer.clone(), layer]);
    assert_contains(task.step_fails(&["image-windows"]), "2 layers, expected one with the WIM");
}

#[test]
fn windows_without_a_template_is_reported_and_unmounted() {
    let Some(disk) = prepare_disk() else { return };
    let registry = Registry::start();
    let task = task(&disk, &registry.image("windows", &[]));
    assert_contains(task.step_fails(&["bootloader-windows"]), "`cp --recursive");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
}

#[test]
fn a_recipe_without_a_layout_gets_the_usual_one() {
    let task = Fixture::new(TaskTarget::InstallWindows).disk("/dev/vdz");
    let output = task.step(&["partition", "--dry-run", "--disk-size", "64G"]);
    let plan = String::from_utf8(output.stdout).unwrap();
    assert!(plan.contains("--typecode=2:E3C9E316-0B5C-4DB8-817D-F92DF00215AE"), "{plan}");
    assert!(plan.contains("mkfs.ntfs -Q -F -L Windows /dev/vdz3"), "{plan}");
}
