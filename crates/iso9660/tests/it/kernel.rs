// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Linux mounts our images with each of the three trees, and lists the files.

use std::fs::{self, File};
use std::path::Path;

use sha2::{Digest, Sha256};
use test_support::vm::{self, Kernel};

use crate::facts::{Fact, NodeContent, image, sample};
use crate::large::{LEN, Sparse, large};

/// Built-in modules have no file.
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

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn describe_expected(fact: &Fact) -> String {
    let Fact { path, mode, uid, gid, mtime, content } = fact;
    let (kind, detail) = match content {
        NodeContent::Directory => (0x4000, "-".to_owned()),
        NodeContent::File(contents) => {
            let tail = &contents[contents.len().saturating_sub(65_536)..];
            (0x8000, format!("{}:{}", contents.len(), digest(tail)))
        }
        NodeContent::Symlink(target) => (0xA000, target.clone()),
    };
    let links = if *content == NodeContent::Directory {
        let inside = |f: &&Fact| f.path.rsplit_once('/').is_some_and(|(parent, _)| parent == path);
        2 + sample().iter().filter(inside).filter(|f| f.content == NodeContent::Directory).count()
    } else {
        1
    };
    format!("@rock|./{path}|{:x}|{uid}|{gid}|{mtime}|{links}|{detail}", kind | mode)
}

#[test]
fn linux_mounts_every_tree_and_sees_what_was_put_in() {
    let (Some(kernel), Some(mut entries)) = (Kernel::find(), vm::busybox()) else { return };
    entries.push(("modules".to_owned(), 0o040_755, Vec::new()));
    entries.push(("init".to_owned(), 0o100_755, INIT.as_bytes().to_vec()));
    for (file, contents) in kernel.modules(&MODULES) {
        entries.push((format!("modules/{file}"), 0o100_644, contents));
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("initramfs"), vm::initramfs(&entries)).unwrap();
    let facts = sample();
    image(&facts).write_to_file(Path::new(&at("sample.iso"))).unwrap();
    large().write_to(Sparse(File::create(at("large.iso")).unwrap())).unwrap();

    let drive = |file: &str| format!("if=virtio,format=raw,readonly=on,file={}", at(file));
    let args = [
        "-kernel",
        kernel.image.to_str().unwrap(),
        "-initrd",
        &at("initramfs"),
        "-append",
        "console=ttyS0 quiet panic=-1",
        "-drive",
        &drive("sample.iso"),
        "-drive",
        &drive("large.iso"),
    ];
    let Some(text) = vm::run(folder.path(), &args, "@end") else { return };
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert!(lines.contains(&"@end") && !text.contains("failed"), "{text}");
    for fact in &facts {
        let line = describe_expected(fact);
        assert!(lines.contains(&line.as_str()), "{line} is not in\n{text}");
    }
    let count = |tree: &str| lines.iter().filter(|line| line.starts_with(tree)).count();
    let links = facts.iter().filter(|fact| matches!(fact.content, NodeContent::Symlink(_))).count();
    assert_eq!(count("@rock|"), facts.len() + 1);
    assert_eq!(count("@joliet|"), facts.len() + 1 - links);
    assert_eq!(count("@plain|"), facts.len() + 1);
    for (name, size) in [("large", LEN), ("small", 5)] {
        let start = format!("@large|./{name}|");
        let line = lines.iter().find(|line| line.starts_with(&start)).unwrap();
        assert!(line.contains(&format!("|{size}:")), "{line}");
    }
    let mut tail = vec![0; 65_536];
    tail[65_520..].copy_from_slice(crate::large::END);
    assert!(text.contains(&format!("|{LEN}:{}", digest(&tail))), "{text}");
    // The kernel logs the tree that it mounts, and no warnings.
    for line in lines.iter().filter(|line| line.starts_with("@dmesg|")) {
        assert!(line.contains("Extensions"), "{line}");
    }
}
