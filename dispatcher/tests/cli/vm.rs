// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! End-to-end test in a virtual machine: two discs in SCSI drives, the kernel's isofs, the serial
//! number from SMBIOS.

use std::{fs, path::Path};

use test_support::vm::{self, Entry, Kernel};

use crate::machine::{Machine, iso, xorriso};

/// Built-in modules have no file.
const MODULES: [&str; 14] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "scsi_common",
    "scsi_mod",
    "virtio_scsi",
    "cdrom",
    "sr_mod",
    "nls_base",
    "zlib_inflate",
    "isofs",
    "crc_itu_t",
];

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
exec >/dev/ttyS0 2>&1
# They depend on each other in an order that differs from kernel to kernel.
for round in 1 2 3 4 5; do
    for m in /modules/*; do insmod $m 2>/dev/null && rm $m; done
done
export PATH=/bin
/bin/dispatcher --timeout 60; echo "@code=$?"
date -u '+@date=%Y-%m-%d'
sed 's/^/@env=/' /run/provision/recipe.env
stat -c '@stat=%a %u:%g %n' /run/provision /run/provision/*
echo "@user-data=$(sha256sum < /run/provision/user-data)"
grep -c /run/dispatcher /proc/mounts | sed 's/^/@mounts=/'
echo "@end"
poweroff -f
"#;

/// `systemctl` for a host without systemd.
const SYSTEMCTL: &str = r#"#!/bin/sh
[ "$1" = show ] && { echo loaded; exit; }
echo "@systemctl=$*" > /dev/ttyS0
"#;

#[test]
fn a_disc_in_a_drive_is_mounted_and_its_task_written() {
    let Some(kernel) = Kernel::find() else { return };
    let machine = Machine::new();
    let task = machine.write("task.iso", iso("vm-1"));
    // The other disc comes first, as the maintenance ISO may.
    let other = machine.path("other.iso");
    let maintenance = machine.write("maintenance/file", "x");
    if xorriso(maintenance.parent().unwrap(), "MAINTENANCE", &other).is_none() {
        return;
    }
    let Some(console) = run(&kernel, &machine, &[&other, &task]) else { return };
    for line in [
        "@code=0",
        // Of the medium: there is no signature, and the battery of the clock is empty.
        "@date=2026-01-01",
        "@env=SERIAL=\"VM 0815\"",
        "@env=JOB_ID=\"VM1\"",
        "@stat=700 0:0 /run/provision",
        "@stat=600 0:0 /run/provision/user-data",
        "@systemctl=--no-block start install-linux.target",
        "@mounts=0",
        "found /dev/sr1 (TASK_VM1)",
    ] {
        assert!(console.contains(line), "{line} is missing in:\n{console}");
    }
    let digest = recipe::sha256_hex(b"#cloud-config\npassword: hunter2\n");
    assert!(console.contains(&format!("@user-data={digest}")), "{console}");
    assert!(!console.contains("hunter2"), "{console}");
}

/// busybox, the dispatcher with its libraries, and the modules.
fn entries(kernel: &Kernel) -> Option<Vec<Entry>> {
    let mut entries = vm::busybox()?;
    let folders = ["dev", "proc", "sys", "run", "modules", "lib", "lib64", "lib/x86_64-linux-gnu"];
    entries.extend(folders.map(|folder| (folder.to_owned(), 0o040_755, Vec::new())));
    let dispatcher = Path::new(env!("CARGO_BIN_EXE_dispatcher"));
    // ldd fails for a static program, which has no libraries.
    let libraries = test_support::output(&test_support::find("ldd")?, &[dispatcher.to_str()?]);
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    let mut program = |name: &str, contents| entries.push((name.to_owned(), 0o100_755, contents));
    for library in libraries {
        program(library.trim_start_matches('/'), fs::read(library).unwrap());
    }
    program("bin/dispatcher", fs::read(dispatcher).unwrap());
    program("bin/systemctl", SYSTEMCTL.into());
    program("init", INIT.into());
    for (file, contents) in kernel.modules(&MODULES) {
        program(&format!("modules/{file}"), contents);
    }
    Some(entries)
}

/// Boots a virtual machine with these discs until it ends; returns its serial output.
fn run(kernel: &Kernel, machine: &Machine, discs: &[&Path]) -> Option<String> {
    let initramfs = machine.write("initramfs", vm::initramfs(&entries(kernel)?));
    let drives: Vec<[String; 2]> = discs
        .iter()
        .enumerate()
        .map(|(index, disc)| {
            let file = disc.display();
            [
                format!("if=none,id=d{index},format=raw,readonly=on,file={file}"),
                format!("scsi-cd,drive=d{index},scsi-id={index}"),
            ]
        })
        .collect();
    let mut args = vec!["-kernel", kernel.image.to_str()?, "-initrd", initramfs.to_str()?];
    args.extend(["-append", "console=ttyS0 quiet panic=-1", "-device", "virtio-scsi-pci"]);
    args.extend(["-smbios", "type=1,serial=VM 0815", "-rtc", "base=2015-01-01"]);
    args.extend(drives.iter().flat_map(|[drive, device]| ["-drive", drive, "-device", device]));
    vm::run(&machine.path(""), &args, "@end")
}
