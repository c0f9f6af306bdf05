// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Boot catalogs and partition tables, read by other programs and booted by firmware.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use iso9660::reader::Volume;
use iso9660::{BiosBoot, Boot, Directory, Image, Metadata, Node, Source, WriteError};

use test_support::{file, vm};

use crate::facts::{ROOT, image, labels, write};

const GUID: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\x4d\xef\x80\x01\x02\x03\x04\x05\x06\x07";

fn boot(esp: Vec<u8>) -> Boot {
    let bios = BiosBoot { path: "isolinux/boot.bin".to_owned(), load_sectors: 4, info_table: true };
    Boot { bios: Some(bios), esp: Some(Source::bytes(esp)), disk_guid: GUID, mbr_code: None }
}

fn make_bootable() -> Image {
    let mut image = image(&[]);
    let contents: Vec<u8> = (0..5000_u32).map(|i| i.to_le_bytes()[0]).collect();
    image.root.insert("isolinux/boot.bin", Node::File(ROOT, Source::bytes(contents))).unwrap();
    image.boot = Some(boot(vec![0xEF; 1_000_000]));
    image
}

#[test]
fn our_reader_finds_both_boot_images() {
    let bytes = write(&make_bootable());
    let mut volume = Volume::open(Cursor::new(&bytes)).unwrap();
    let images = volume.boot_images().unwrap();
    let [bios, efi] = images.as_slice() else { panic!("{images:?}") };
    assert!(bios.bootable && !bios.is_efi() && bios.sectors == 4 && bios.emulation == 0);
    assert!(efi.bootable && efi.is_efi() && efi.sectors == 1);
    let at = usize::try_from(efi.offset).unwrap();
    assert!(bytes[at..at + 1_000_000].iter().all(|&byte| byte == 0xEF));
    let at = usize::try_from(bios.offset).unwrap();
    let word = |i: usize| u32::from_le_bytes(bytes[at + i..at + i + 4].try_into().unwrap());
    assert_eq!([word(8), word(12), word(16)], [16, u32::try_from(at / 2048).unwrap(), 5000]);
    let entry = volume.find("isolinux/boot.bin").unwrap();
    assert_eq!(volume.read_file(&entry, 5000).unwrap().len(), 5000);
}

#[test]
fn xorriso_finds_both_boot_images_and_the_partitions() {
    let Some(xorriso) = test_support::find("xorriso") else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("boot.iso");
    make_bootable().write_to_file(&iso).unwrap();
    let iso = iso.to_str().unwrap();
    let reports = ["-indev", iso, "-report_el_torito", "plain", "-report_system_area", "plain"];
    let text = test_support::run(&xorriso, &reports);
    for line in [
        "El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4",
        "El Torito boot img :   2  UEFI  y   none  0x0000  0x00      1",
        "El Torito img opts :   1  boot-info-table",
        "System area summary: MBR protective-msdos-label cyl-align-off GPT",
        "GPT partition name :   2  450046004900200073007900730074006500",
        "GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    for word in ["WARNING", "SORRY", "FAILURE", "FATAL"] {
        assert!(!text.contains(&format!(": {word} :")), "{text}");
    }
}

#[test]
fn sgdisk_finds_no_fault_in_the_partition_table() {
    let Some(sgdisk) = test_support::find("sgdisk") else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("boot.iso");
    make_bootable().write_to_file(&iso).unwrap();
    let text = test_support::run(&sgdisk, &["-v", "-p", "-i", "2", iso.to_str().unwrap()]);
    for line in [
        "No problems found.",
        "Disk identifier (GUID): 01234567-89AB-4DEF-8001-020304050607",
        "Partition unique GUID: 01234567-89AB-4DEF-8001-020304050605",
        "(EFI system partition)",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

/// The size of the EFI boot image by UEFI 2.10, 13.3.2.1, is that of the partition: GRUB compares them
/// to find the partition that it was started from.
#[test]
fn the_boot_image_and_the_partition_have_one_size() {
    for size in [1_000_000, 32 << 20] {
        let mut image = make_bootable();
        image.boot = Some(boot(vec![0; size]));
        let bytes = write(&image);
        let mut volume = Volume::open(Cursor::new(&bytes)).unwrap();
        let efi = volume.boot_images().unwrap()[1];
        assert_eq!(efi.sectors, 1, "up to the end of the volume");
        // The second entry of the GPT, in sectors of 512 bytes.
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (first, last) = (word(1024 + 128 + 32), word(1024 + 128 + 40));
        assert_eq!((first * 512, (last + 1) * 512), (efi.offset, volume.info().size));
    }
}

#[test]
fn a_boot_image_that_is_not_there_is_an_error() {
    let mut image = make_bootable();
    if let Some(Boot { bios: Some(bios), .. }) = &mut image.boot {
        bios.path = "isolinux".to_owned();
    }
    assert!(matches!(image.write_to(Vec::new()), Err(WriteError::BootImage { .. })));
    let mut image = make_bootable();
    if let Some(boot) = &mut image.boot {
        boot.mbr_code = Some(vec![0; 433]);
    }
    assert!(matches!(image.write_to(Vec::new()), Err(WriteError::TooLarge { .. })));
}

/// Printed by isolinux after reading its configuration from the image, and by GRUB from its
/// configuration.
const PROMPT: &str = "boot: ";
const MARKER: &str = "started from the image";

/// An image with isolinux for BIOS and GRUB for UEFI, both with a serial console.
fn build_real(folder: &Path) -> Option<PathBuf> {
    let isolinux = file("/usr/lib/ISOLINUX/isolinux.bin")?;
    let mbr = isolinux.with_file_name("isohdpfx.bin");
    let module = file("/usr/lib/syslinux/modules/bios/ldlinux.c32")?;
    let grub = file("/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi")?;
    let (mformat, mmd, mcopy) =
        (test_support::find("mformat")?, test_support::find("mmd")?, test_support::find("mcopy")?);

    let esp = folder.join("esp.img");
    let esp = esp.to_str().unwrap();
    fs::write(esp, []).unwrap();
    test_support::run(&mformat, &["-i", esp, "-C", "-T", "16384", "-h", "16", "-s", "32", "::"]);
    test_support::run(&mmd, &["-i", esp, "::/EFI", "::/EFI/BOOT"]);
    test_support::run(&mcopy, &["-i", esp, grub.to_str().unwrap(), "::/EFI/BOOT/BOOTX64.EFI"]);

    let meta = |mode| Metadata { mode, uid: 0, gid: 0, mtime: 1_700_000_000 };
    let mut root = Directory::new(meta(0o755));
    let mut add = |path: &str, source| root.insert(path, Node::File(meta(0o644), source)).unwrap();
    add("isolinux/isolinux.bin", Source::path(isolinux).unwrap());
    add("isolinux/ldlinux.c32", Source::path(module).unwrap());
    // isolinux reads this configuration before it uses the serial console, then prompts.
    add("isolinux/isolinux.cfg", Source::bytes("SERIAL 0 115200\nPROMPT 1\nTIMEOUT 0\n"));
    // Debian's GRUB for CDs searches for this file to find the medium on a disk.
    add(".disk/info", Source::bytes(*b"test\n"));
    let config = format!("serial --unit=0\nterminal_output serial\necho \"{MARKER}\"\nsleep 60\n");
    add("boot/grub/grub.cfg", Source::bytes(config));
    let image = Image {
        labels: labels("BOOTABLE"),
        epoch: 1_700_000_000,
        root,
        boot: Some(Boot {
            bios: Some(BiosBoot {
                path: "isolinux/isolinux.bin".to_owned(),
                load_sectors: 4,
                info_table: true,
            }),
            esp: Some(Source::path(esp).unwrap()),
            disk_guid: GUID,
            mbr_code: Some(fs::read(mbr).unwrap()),
        }),
    };
    let iso = folder.join("real.iso");
    image.write_to_file(&iso).unwrap();
    Some(iso)
}

/// Boots a virtual machine with the image as a CD or as a disk.
fn starts(firmware: &[&str], as_disk: bool, marker: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(iso) = build_real(folder.path()) else { return };
    let media = if as_disk { "disk" } else { "cdrom" };
    let drive = format!("file={},format=raw,media={media},readonly=on,if=none,id=d", iso.display());
    let device = if as_disk { "virtio-blk-pci,drive=d" } else { "ide-cd,drive=d" };
    let args = [firmware, &["-drive", &drive, "-device", device]].concat();
    let Some(text) = vm::run(folder.path(), &args, marker) else { return };
    assert!(text.contains(marker), "{text}");
}

fn with_uefi(as_disk: bool) {
    let Some(code) = file("/usr/share/OVMF/OVMF_CODE_4M.fd") else { return };
    let flash = format!("if=pflash,format=raw,readonly=on,file={}", code.display());
    starts(&["-machine", "q35", "-drive", &flash], as_disk, MARKER);
}

#[test]
fn a_bios_starts_it_from_a_cd() {
    starts(&[], false, PROMPT);
}

#[test]
fn a_bios_starts_it_from_a_disk() {
    starts(&[], true, PROMPT);
}

#[test]
fn uefi_starts_it_from_a_cd() {
    with_uefi(false);
}

#[test]
fn uefi_starts_it_from_a_disk() {
    with_uefi(true);
}
