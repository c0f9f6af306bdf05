// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Linux mounts what we write, by each of the three trees, and sees what was put in.
//!
//! The kernel is one that is installed, or a Debian kernel package unpacked to the folder that
//! `TEST_KERNEL` names.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::facts::{Fact, What, image, sample};
use crate::large::{LEN, Sparse, large};
use crate::{tools, vm};

/// What a kernel has built in is not there as a file.
const MODULES: [&str; 12] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "cdrom",
    "nls_base",
    "nls_utf8",
    "zlib_inflate",
    "isofs",
    "loop",
];

const INIT: &str = r#"#!/bin/sh
/bin/busybox mkdir -p /dev /proc /m
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
exec >/dev/ttyS0 2>&1
# They depend on each other in an order that differs from kernel to kernel.
for round in 1 2 3 4 5; do
    for m in /modules/*.ko; do /bin/busybox insmod $m 2>/dev/null && /bin/busybox rm $m; done
done
list() {
    /bin/busybox mount -t iso9660 -o ro,$3 $1 /m || echo "mount failed"
    cd /m
    /bin/busybox find . | /bin/busybox sort | while read -r path; do
        line=$(/bin/busybox stat -c '%f|%u|%g|%Y|%h' "$path")
        sum=-
        if [ -h "$path" ]; then sum=$(/bin/busybox readlink "$path")
        elif [ -f "$path" ]; then sum=$(/bin/busybox stat -c %s "$path"):$(/bin/busybox tail -c 65536 "$path" | /bin/busybox sha256sum | /bin/busybox cut -d' ' -f1); fi
        echo "@$2|$path|$line|$sum"
    done
    cd /
    /bin/busybox umount /m
}
list /dev/vda rock iocharset=utf8
list /dev/vda joliet norock,iocharset=utf8
list /dev/vda plain norock,nojoliet
list /dev/vdb large iocharset=utf8
/bin/busybox dmesg | /bin/busybox grep -i -E 'isofs|iso 9660|iso9660|rock' | /bin/busybox sed 's/^/@dmesg|/'
echo "@end"
/bin/busybox poweroff -f
"#;

/// Kernel image and folder of modules.
fn kernel() -> Option<(PathBuf, PathBuf)> {
    let root = std::env::var_os("TEST_KERNEL").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    for entry in fs::read_dir(root.join("boot")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if let Some(version) = name.strip_prefix("vmlinuz-") {
            let modules = root.join("lib/modules").join(version).join("kernel");
            if modules.is_dir() {
                return Some((entry.path(), modules));
            }
        }
    }
    tools::skip("no kernel with modules in /boot and /lib/modules, nor where TEST_KERNEL points");
    None
}

/// The files of the modules by name, decompressed.
fn modules(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let file = entry.file_name().into_string().unwrap().replace('-', "_");
            let Some((name, end)) = file.split_once(".ko") else { continue };
            if !MODULES.contains(&name) {
                continue;
            }
            let contents = if end.is_empty() {
                fs::read(&path).unwrap()
            } else {
                let Some(xz) = tools::find("xz") else { continue };
                tools::output(&xz, &["-dc", path.to_str().unwrap()]).stdout
            };
            out.push((name.to_owned(), contents));
        }
    }
    out
}

/// A cpio archive of the kind the kernel unpacks ("newc", `initramfs-buffer-format` in the
/// kernel's documentation).
fn cpio(files: &[(String, u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let end = ("TRAILER!!!".to_owned(), 0, Vec::new());
    for (inode, (name, mode, contents)) in files.iter().chain([&end]).enumerate() {
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

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn expected(fact: &Fact) -> String {
    let Fact { path, mode, uid, gid, mtime, what } = fact;
    let (kind, detail) = match what {
        What::Directory => (0x4000, "-".to_owned()),
        What::File(contents) => {
            let tail = &contents[contents.len().saturating_sub(65_536)..];
            (0x8000, format!("{}:{}", contents.len(), digest(tail)))
        }
        What::Symlink(target) => (0xA000, target.clone()),
    };
    let links = if *what == What::Directory {
        let inside = |f: &&Fact| f.path.rsplit_once('/').is_some_and(|(parent, _)| parent == path);
        2 + sample().iter().filter(inside).filter(|f| f.what == What::Directory).count()
    } else {
        1
    };
    format!("@rock|./{path}|{:x}|{uid}|{gid}|{mtime}|{links}|{detail}", kind | mode)
}

#[test]
fn linux_mounts_every_tree_and_sees_what_was_put_in() {
    let (Some(qemu), Some(busybox)) = (vm::qemu(), tools::find("busybox")) else { return };
    let Some((vmlinuz, folder)) = kernel() else { return };
    let mut program = Vec::new();
    File::open(busybox).unwrap().read_to_end(&mut program).unwrap();
    // A dynamic program names its loader near its start.
    if program.windows(8).take(4096).any(|window| window == b"ld-linux") {
        return tools::skip("busybox is not static: busybox-static is not installed");
    }
    let mut files = vec![
        ("bin".to_owned(), 0o040_755, Vec::new()),
        ("modules".to_owned(), 0o040_755, Vec::new()),
        ("bin/busybox".to_owned(), 0o100_755, program.clone()),
        ("bin/sh".to_owned(), 0o120_777, b"busybox".to_vec()),
        ("init".to_owned(), 0o100_755, INIT.as_bytes().to_vec()),
    ];
    for (name, contents) in modules(&folder) {
        files.push((format!("modules/{name}.ko"), 0o100_644, contents));
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("initramfs"), cpio(&files)).unwrap();
    let facts = sample();
    image(&facts).write_to_file(Path::new(&at("sample.iso"))).unwrap();
    large().write_to(Sparse(File::create(at("large.iso")).unwrap())).unwrap();

    let drive = |file: &str| format!("if=virtio,format=raw,readonly=on,file={}", at(file));
    let args = [
        "-kernel",
        vmlinuz.to_str().unwrap(),
        "-initrd",
        &at("initramfs"),
        "-append",
        "console=ttyS0 quiet panic=-1",
        "-drive",
        &drive("sample.iso"),
        "-drive",
        &drive("large.iso"),
    ];
    let text = vm::run(&qemu, folder.path(), &args, "@end");
    let said: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert!(said.contains(&"@end") && !text.contains("failed"), "{text}");
    for fact in &facts {
        let line = expected(fact);
        assert!(said.contains(&line.as_str()), "{line} is not in\n{text}");
    }
    let count = |tree: &str| said.iter().filter(|line| line.starts_with(tree)).count();
    let links = facts.iter().filter(|fact| matches!(fact.what, What::Symlink(_))).count();
    assert_eq!(count("@rock|"), facts.len() + 1);
    assert_eq!(count("@joliet|"), facts.len() + 1 - links);
    assert_eq!(count("@plain|"), facts.len() + 1);
    for (name, size) in [("large", LEN), ("small", 5)] {
        let start = format!("@large|./{name}|");
        let line = said.iter().find(|line| line.starts_with(&start)).unwrap();
        assert!(line.contains(&format!("|{size}:")), "{line}");
    }
    let mut tail = vec![0; 65_536];
    tail[65_520..].copy_from_slice(crate::large::END);
    assert!(text.contains(&format!("|{LEN}:{}", digest(&tail))), "{text}");
    // The kernel announces the tree it mounts, and has nothing to complain about.
    for line in said.iter().filter(|line| line.starts_with("@dmesg|")) {
        assert!(line.contains("Extensions"), "{line}");
    }
}
