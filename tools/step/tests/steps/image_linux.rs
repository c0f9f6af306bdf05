// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step image-linux` from a registry to a loop device, with archives of GNU tar.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::common::{Fixture, LoopDisk, Mounted, sh};
use crate::registry::Registry;
use recipe::TaskTarget;
use test_support::assert_contains;

const TOOLS: [&str; 7] = ["sgdisk", "wipefs", "partprobe", "blkid", "mkfs.ext4", "tar", "mkfs.xfs"];
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A partitioned disk and a task for it.
fn task(disk: &LoopDisk, reference: &str) -> Fixture {
    let task = Fixture::new(TaskTarget::InstallLinux)
        .disk(&disk.link)
        .layout(&["64M 8300 ext4 root", "100% 8300 ext4 home"])
        .image(reference);
    task.step_ok(&["partition"]);
    task
}

/// An archive of `dir` by GNU tar.
fn archive(dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["--create", "--file=-", "--numeric-owner", "--sort=name"])
        .args(args)
        .args(["-C", dir.to_str().unwrap(), "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Two zstd frames, as zstd:chunked and parallel compressors write them.
fn zstd_frames(bytes: &[u8]) -> Vec<u8> {
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let mut out = zstd::encode_all(head, 1).unwrap();
    out.extend(zstd::encode_all(tail, 1).unwrap());
    out
}

/// A small tree: text, owner, link, folder with a sticky bit.
fn tree(dir: &Path) {
    fs::create_dir_all(dir.join("etc")).unwrap();
    fs::write(dir.join("etc/hostname"), "node\n").unwrap();
    std::os::unix::fs::chown(dir.join("etc/hostname"), Some(1234), Some(5678)).unwrap();
    fs::create_dir_all(dir.join("home/operator")).unwrap();
    fs::create_dir_all(dir.join("tmp")).unwrap();
    sh("chmod", &["1777", dir.join("tmp").to_str().unwrap()]);
    symlink("/etc/hostname", dir.join("link")).unwrap();
}

#[test]
fn owners_modes_attributes_acls_and_holes_survive() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let attributes = ["setfattr", "getfattr", "setfacl", "getfacl"];
    // A separate file system, since not every temporary folder supports ACLs.
    let Some(source) = LoopDisk::new(&attributes, 64, 512) else { return };
    sh("mkfs.ext4", &["-q", "-F", &source.device]);
    let mounted = Mounted::new(&source.device);
    let dir = mounted.path("tree");
    tree(&dir);
    let file = dir.join("etc/hostname");
    let file = file.to_str().unwrap();
    sh("setfattr", &["-n", "user.note", "-v", "kept", file]);
    // cap_net_raw+ep, version 2.
    let capability = "0x0100000200200000000000000000000000000000";
    sh("setfattr", &["-n", "security.capability", "-v", capability, file]);
    sh("setfacl", &["-m", "u:4321:rw", file]);
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(32 << 20).unwrap();

    let plain = archive(&dir, &["--xattrs", "--xattrs-include=*", "--acls", "--sparse"]);
    let registry = Registry::start();
    let reference = registry.image("linux", &[(ZSTD, zstd_frames(&plain))]);
    let task = task(&disk, &reference);
    assert_contains(task.step_ok(&["image-linux"]), "pull: 100 %");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());

    let root = Mounted::new(&disk.partition(1));
    let found = fs::metadata(root.path("etc/hostname")).unwrap();
    assert_eq!((found.uid(), found.gid()), (1234, 5678));
    assert_eq!(fs::metadata(root.path("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(fs::read_link(root.path("link")).unwrap(), Path::new("/etc/hostname"));
    let file = root.path("etc/hostname");
    let file = file.to_str().unwrap();
    let attributes = sh("getfattr", &["-d", "-m", "-", "-e", "hex", file]);
    assert!(attributes.contains("user.note=0x6b657074"), "{attributes}");
    assert!(attributes.contains(&format!("security.capability={capability}")), "{attributes}");
    assert!(sh("getfacl", &["-n", file]).contains("user:4321:rw-"));
    let sparse = fs::metadata(root.path("sparse")).unwrap();
    assert_eq!(sparse.len(), 32 << 20);
    assert!(sparse.blocks() < 100, "the hole was filled: {} blocks", sparse.blocks());
    drop(root);

    // /home is a separate volume.
    let home = Mounted::new(&disk.partition(2));
    assert!(home.path("operator").is_dir());
    drop(home);

    assert!(task.step_ok(&["image-linux"]).contains("nothing to do"));
    let stamp = fs::read_to_string(task.path("state/image-linux.json")).unwrap();
    assert!(stamp.contains("\"digest\": \"sha256:"), "{stamp}");
}

#[test]
fn a_dropped_connection_is_resumed() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    fs::write(dir.path().join("data"), vec![7; 3 << 20]).unwrap();
    let registry = Registry::start();
    let reference = registry.image("linux", &[(TAR, archive(dir.path(), &[]))]);
    let task = task(&disk, &reference);
    registry.break_off(2);
    task.step_ok(&["image-linux"]);
    assert!(registry.count_resumed() >= 2, "{}", registry.count_resumed());
    let root = Mounted::new(&disk.partition(1));
    assert_eq!(fs::read(root.path("data")).unwrap(), vec![7; 3 << 20]);
}

#[test]
fn a_wrong_digest_fails_and_the_next_run_starts_clean() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    fs::write(dir.path().join("data"), "right").unwrap();
    let layer = archive(dir.path(), &[]);
    let registry = Registry::start();
    let reference = registry.image("linux", &[(TAR, layer.clone())]);
    let task = task(&disk, &reference);
    registry.corrupt("linux", &layer);
    assert_contains(task.step_fails(&["image-linux"]), "content has the digest");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    assert!(!task.path("state/image-linux.json").exists());
    assert_eq!(task.count_left_in_work(), 0);

    // The next image lacks these files: none may remain.
    fs::remove_file(dir.path().join("data")).unwrap();
    registry.image("linux", &[(GZIP, gzip(&archive(dir.path(), &[])))]);
    task.step_ok(&["image-linux"]);
    let root = Mounted::new(&disk.partition(1));
    assert!(!root.path("data").exists());
    assert!(root.path("etc/hostname").exists());
}

#[test]
fn upper_layers_delete_and_replace() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    for (path, text) in [
        ("keep", "lower"),
        ("gone", "lower"),
        ("opaque/old", "lower"),
        ("opaque/sub/old", "lower"),
        ("folder/was/here", "lower"),
    ] {
        let path = one.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("keep", one.join("was-link")).unwrap();
    for path in [".wh.gone", "opaque/a-new", "opaque/.wh..wh..opq", "opaque/sub/z-new", "folder"] {
        let path = two.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "upper").unwrap();
    }
    fs::create_dir(two.join("was-link")).unwrap();
    fs::write(two.join("was-link/file"), "upper").unwrap();

    let registry = Registry::start();
    let layers = [(GZIP, gzip(&archive(&one, &[]))), (ZSTD, zstd_frames(&archive(&two, &[])))];
    let task = task(&disk, &registry.image("linux", &layers));
    task.step_ok(&["image-linux"]);
    let root = Mounted::new(&disk.partition(1));
    let found = sh("find", &[root.path("").to_str().unwrap(), "-printf", "%P\n"]);
    let mut found: Vec<&str> = found.lines().filter(|line| !line.starts_with("lost+")).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "",
            "folder",
            "home",
            "keep",
            "opaque",
            "opaque/a-new",
            "opaque/sub",
            "opaque/sub/z-new",
            "was-link",
            "was-link/file",
        ]
    );
    assert_eq!(fs::read(root.path("folder")).unwrap(), b"upper");
    assert_eq!(fs::read(root.path("keep")).unwrap(), b"lower");
}

#[test]
fn a_layer_that_leads_out_of_the_image_is_refused() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (one, two, outside) =
        (dir.path().join("1"), dir.path().join("2"), dir.path().join("outside"));
    fs::create_dir_all(&one).unwrap();
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, one.join("way-out")).unwrap();
    fs::create_dir_all(two.join("way-out")).unwrap();
    fs::write(two.join("way-out/planted"), "").unwrap();
    // The file without its folder, which would replace the link.
    let file = dir.path().join("upper.tar");
    let paths = [file.to_str().unwrap(), "-C", two.to_str().unwrap(), "way-out/planted"];
    sh("tar", &[&["-cf"], &paths[..]].concat());
    let upper = fs::read(&file).unwrap();
    let registry = Registry::start();
    let layers = [(TAR, archive(&one, &[])), (TAR, upper)];
    let task = task(&disk, &registry.image("linux", &layers));
    let error = task.step_fails(&["image-linux"]);
    assert!(error.contains("way-out is a symbolic link that leads out of the image"), "{error}");
    assert!(!outside.join("planted").exists());
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
}

#[test]
fn an_index_gives_the_image_for_this_machine() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let dir = tempfile::tempdir().unwrap();
    let layer = |name: &str| {
        let dir = dir.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("name"), name).unwrap();
        archive(&dir, &[])
    };
    let registry = Registry::start();
    let reference = registry.index(
        "linux",
        &[
            ("linux/riscv64", layer("riscv64")),
            ("linux/amd64", layer("amd64")),
            ("linux/arm64", layer("arm64")),
        ],
    );
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let task = task(&disk, &reference);
    task.step_ok(&["image-linux"]);
    let root = Mounted::new(&disk.partition(1));
    assert_eq!(fs::read_to_string(root.path("name")).unwrap(), here);
    drop(root);

    registry
        .index("linux", &[("linux/riscv64", layer("riscv64")), ("linux/s390x", layer("s390x"))]);
    fs::remove_file(task.path("state/image-linux.json")).unwrap();
    assert_contains(task.step_fails(&["image-linux"]), "only linux/riscv64, linux/s390x");
}

#[test]
fn what_is_no_image_is_detected() {
    let Some(disk) = LoopDisk::new(&TOOLS, 200, 512) else { return };
    let registry = Registry::start();
    let task = task(&disk, &registry.image("linux", &[(TAR, b"not a tar archive".repeat(100))]));
    assert_contains(task.step_fails(&["image-linux"]), "not a whole tar archive");

    registry.image("linux", &[(TAR, b"\xfd7zXZ\0and so on".to_vec())]);
    assert_contains(task.step_fails(&["image-linux"]), "use zstd or gzip");

    registry.image("linux", &[]);
    assert!(task.step_fails(&["image-linux"]).contains("has no layers"));

    // A truncated archive with a correct digest.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), vec![7; 1 << 20]).unwrap();
    let mut half = archive(dir.path(), &[]);
    half.truncate(half.len() / 2);
    registry.image("linux", &[(TAR, half)]);
    assert_contains(task.step_fails(&["image-linux"]), "the layer ends in the middle of it");

    let elsewhere = Fixture::new(TaskTarget::InstallLinux)
        .disk(&disk.link)
        .layout(&["64M 8300 ext4 root"])
        .image("127.0.0.1:1/os/none:1");
    assert_contains(elsewhere.step_fails(&["image-linux"]), "cannot pull 127.0.0.1:1/os/none:1");
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
}
