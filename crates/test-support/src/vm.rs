// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual machines with QEMU's emulation, which is slow but needs no permissions. Their output is
//! the serial console.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::requirement::{Requirement, installed_folder, skip};

/// Booting takes about ten seconds; the rest is for slow and busy hosts.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs a virtual machine with `args` until it ends or prints `marker`. Returns its output, written
/// to a file in `folder`; `None` if QEMU is not installed.
pub fn run(folder: &Path, args: &[&str], marker: &str) -> Option<String> {
    let qemu = crate::find("qemu-system-x86_64")?;
    let serial = folder.join("serial");
    fs::write(&serial, "").unwrap();
    // One processor: emulated kernels sometimes panic with more.
    let mut child = Command::new(qemu)
        .args(["-accel", "tcg", "-smp", "1", "-m", "512", "-display", "none", "-no-reboot"])
        .args(["-nic", "none", "-monitor", "none", "-serial"])
        .arg(format!("file:{}", serial.display()))
        .args(args)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(200));
        let ended = child.try_wait().unwrap().is_some();
        let console = String::from_utf8_lossy(&fs::read(&serial).unwrap()).into_owned();
        if ended || console.contains(marker) || start.elapsed() > PATIENCE {
            drop(child.kill());
            child.wait().unwrap();
            return Some(console);
        }
    }
}

/// Folder in which `cargo xtask setup` unpacks a kernel.
const UNPACKED: &str = "unpacked/linux-image-cloud-amd64";

/// A Debian kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Path of the image for QEMU's `-kernel`.
    pub image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Finds a kernel in the folder `TEST_KERNEL`, unpacked by `cargo xtask setup`, or installed.
    /// Skips the test if there is none.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("TEST_KERNEL").map(PathBuf::from);
        let roots = named.into_iter().chain([installed_folder().join(UNPACKED), "/".into()]);
        let found = roots.into_iter().find_map(|root| Self::find_below(&root));
        if found.is_none() {
            skip(Requirement::Program("kernel-for-tests"), "no kernel with modules is installed");
        }
        found
    }

    fn find_below(root: &Path) -> Option<Self> {
        let entries = fs::read_dir(root.join("boot")).into_iter().flatten().flatten();
        entries.into_iter().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("vmlinuz-")?;
            let folders = ["lib/modules", "usr/lib/modules"].map(|it| root.join(it).join(version));
            let modules = folders.into_iter().find(|folder| folder.is_dir())?;
            Some(Self { image: entry.path(), modules })
        })
    }

    /// Names and decompressed contents of the modules `names`. Built-in modules have no file and
    /// are skipped.
    pub fn modules(&self, names: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![self.modules.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                let file = entry.file_name().into_string().unwrap().replace('-', "_");
                if entry.file_type().unwrap().is_dir() {
                    open.push(path);
                } else if let Some((name, packing)) = file.split_once(".ko")
                    && names.contains(&name)
                {
                    found.push((format!("{name}.ko"), decompress(&path, packing)));
                }
            }
        }
        found
    }
}

fn decompress(path: &Path, packing: &str) -> Vec<u8> {
    match packing {
        "" => fs::read(path).unwrap(),
        ".xz" => {
            let xz = crate::find("xz").unwrap_or_else(|| panic!("{} needs xz", path.display()));
            crate::output(&xz, &["-dc", path.to_str().unwrap()]).stdout
        }
        _ => panic!("{} is packed in a way that is not known", path.display()),
    }
}

/// One entry of an initramfs: path, mode with its type, and contents or target.
pub type Entry = (String, u32, Vec<u8>);

/// An initramfs: a cpio archive in "newc" format (`initramfs-buffer-format` in the kernel's
/// documentation).
pub fn initramfs(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let end = ("TRAILER!!!".to_owned(), 0, Vec::new());
    for (inode, (name, mode, contents)) in entries.iter().chain([&end]).enumerate() {
        let len = contents.len();
        let fields = [inode + 1, *mode as usize, 0, 0, 1, 0, len, 0, 0, 0, 0, name.len() + 1, 0];
        out.extend(b"070701");
        out.extend(fields.map(|field| format!("{field:08x}")).concat().bytes());
        out.extend(name.bytes().chain([0]));
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(contents);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Base entries of every initramfs: busybox as its shell. `None` if it is missing or dynamically
/// linked.
pub fn busybox() -> Option<Vec<Entry>> {
    let program = fs::read(crate::find("busybox")?).unwrap();
    // A dynamic executable has its loader's name near the start.
    if program.windows(8).take(4096).any(|window| window == b"ld-linux") {
        skip(Requirement::Program("busybox"), "busybox is not static");
        return None;
    }
    Some(vec![
        ("bin".to_owned(), 0o040_755, Vec::new()),
        ("bin/busybox".to_owned(), 0o100_755, program),
        ("bin/sh".to_owned(), 0o120_777, b"busybox".to_vec()),
    ])
}
