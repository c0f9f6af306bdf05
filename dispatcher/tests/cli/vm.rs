// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The whole way on a machine of its own: two discs in SCSI drives, the kernel's isofs, the serial
//! number from SMBIOS.
//!
//! The kernel is one that is installed, or a Debian kernel package unpacked to the folder that
//! `TEST_KERNEL` names. The machine runs under QEMU's own emulation, which is slow and needs nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::machine::{Machine, iso, xorriso};

/// A machine starts in some ten seconds; slow and busy hosts get the rest.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a kernel has built in is not there as a file.
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
sed 's/^/@env=/' /run/provision/recipe.env
stat -c '@stat=%a %u:%g %n' /run/provision /run/provision/*
echo "@user-data=$(sha256sum < /run/provision/user-data)"
grep -c /run/dispatcher /proc/mounts | sed 's/^/@mounts=/'
echo "@end"
poweroff -f
"#;

/// `systemctl` in a machine without systemd.
const SYSTEMCTL: &str = r#"#!/bin/sh
[ "$1" = show ] && { echo loaded; exit; }
echo "@systemctl=$*" > /dev/ttyS0
"#;

#[test]
fn a_disc_in_a_drive_is_mounted_and_handed_over() {
    let Some((kernel, modules)) = kernel() else { return };
    for program in ["qemu-system-x86_64", "busybox", "cpio", "ldd"] {
        if find(program).is_none() {
            return skip(&format!("{program} is not installed"));
        }
    }
    let machine = Machine::new();
    let tree = machine.path("tree");
    initramfs(&machine, &modules);
    pack(&tree, &machine.path("initramfs"));
    let task = machine.write("task.iso", iso("vm-1"));
    // The other disc stands first, as the maintenance ISO may.
    let other = machine.path("other.iso");
    if xorriso(&tree, "MAINTENANCE", &other).is_none() {
        return;
    }
    let said = run(&kernel, &machine, &[&other, &task]);
    for line in [
        "@code=0",
        "@env=SERIAL=\"VM 0815\"",
        "@env=JOB_ID=\"VM1\"",
        "@stat=700 0:0 /run/provision",
        "@stat=600 0:0 /run/provision/user-data",
        "@systemctl=--no-block start install-linux.target",
        "@mounts=0",
        "found /dev/sr1 (TASK_VM1)",
    ] {
        assert!(said.contains(line), "{line} is missing in:\n{said}");
    }
    let digest = recipe::sha256_hex(b"#cloud-config\npassword: hunter2\n");
    assert!(said.contains(&format!("@user-data={digest}")), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

fn skip(reason: &str) {
    assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Kernel image and folder of modules.
fn kernel() -> Option<(PathBuf, PathBuf)> {
    let root = std::env::var_os("TEST_KERNEL").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    for entry in fs::read_dir(root.join("boot")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(version) = name.strip_prefix("vmlinuz-") {
            let modules = root.join("lib/modules").join(version).join("kernel");
            if modules.is_dir() {
                return Some((entry.path(), modules));
            }
        }
    }
    skip("no kernel with modules in /boot and /lib/modules, nor where TEST_KERNEL points");
    None
}

/// Makes the tree of the machine: busybox, the dispatcher with its libraries, and the modules.
fn initramfs(machine: &Machine, modules: &Path) {
    for (name, contents) in [("init", INIT), ("bin/systemctl", SYSTEMCTL)] {
        let path = machine.write(&format!("tree/{name}"), contents);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for folder in ["dev", "proc", "sys", "run"] {
        fs::create_dir_all(machine.path("tree").join(folder)).unwrap();
    }
    let dispatcher = Path::new(env!("CARGO_BIN_EXE_dispatcher"));
    let busybox = find("busybox").unwrap();
    for program in [dispatcher, &busybox] {
        fs::copy(program, machine.path("tree/bin").join(program.file_name().unwrap())).unwrap();
        // A static program makes ldd fail, and has no libraries.
        let ldd = Command::new("ldd").arg(program).output().unwrap();
        let text = String::from_utf8_lossy(&ldd.stdout).into_owned();
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            machine.write(&format!("tree{library}"), fs::read(library).unwrap());
            let copy = machine.path(&format!("tree{library}"));
            fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let mut open = vec![modules.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let file = entry.file_name().to_string_lossy().replace('-', "_");
            if path.is_dir() {
                open.push(path);
            } else if file.split_once(".ko").is_some_and(|(name, _)| MODULES.contains(&name)) {
                machine.write(&format!("tree/modules/{file}"), module(&path));
            }
        }
    }
}

/// A module, decompressed.
fn module(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        return Command::new("xz").arg("-dc").arg(path).output().unwrap().stdout;
    }
    fs::read(path).unwrap()
}

/// Packs the tree as the kernel unpacks it.
fn pack(tree: &Path, archive: &Path) {
    let script = "find . | cpio --quiet -o -H newc > \"$1\"";
    let mut packed = Command::new("sh");
    packed.args(["-c", script, "sh"]).arg(archive).current_dir(tree);
    assert!(packed.status().unwrap().success());
}

/// Runs a machine with these discs until it is done, and answers what it said on its serial line.
fn run(kernel: &Path, machine: &Machine, discs: &[&Path]) -> String {
    let serial = machine.path("serial");
    let mut qemu = Command::new("qemu-system-x86_64");
    // One processor: emulated kernels panic now and then with more.
    qemu.args(["-accel", "tcg", "-smp", "1", "-m", "512", "-display", "none", "-no-reboot"])
        .args(["-nic", "none", "-monitor", "none", "-smbios", "type=1,serial=VM 0815"])
        .args(["-append", "console=ttyS0 quiet panic=-1", "-device", "virtio-scsi-pci", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(machine.path("initramfs"))
        .arg("-serial")
        .arg(format!("file:{}", serial.display()));
    for (index, disc) in discs.iter().enumerate() {
        let file = disc.display();
        qemu.args(["-drive", &format!("if=none,id=d{index},format=raw,readonly=on,file={file}")]);
        qemu.args(["-device", &format!("scsi-cd,drive=d{index},scsi-id={index}")]);
    }
    let mut child = qemu.stdin(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(200));
        let said = String::from_utf8_lossy(&fs::read(&serial).unwrap_or_default()).into_owned();
        let ended = child.try_wait().unwrap().is_some();
        if ended || said.contains("@end") || started.elapsed() > PATIENCE {
            drop(child.kill());
            child.wait().unwrap();
            return said;
        }
    }
}
