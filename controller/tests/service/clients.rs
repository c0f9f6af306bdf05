// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Third-party clients.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use oci::Digest;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{IMAGE_MANIFEST, Service, bytes, descriptor};

/// Runs a program. Fails with its output.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    output
}

/// Writes an OCI image layout with one image, tagged `t`. Returns its digest.
fn layout(folder: &Path) -> Digest {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let write = |content: &[u8]| fs::write(blobs.join(Digest::sha256(content).hex()), content);
    // A tar archive with one file: header, content, two empty blocks.
    let content = bytes(3_000_000);
    let mut layer = vec![0; 512];
    layer[..4].copy_from_slice(b"file");
    layer[100..107].copy_from_slice(b"0000644");
    layer[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    layer[136..147].copy_from_slice(b"00000000000");
    layer[156] = b'0';
    layer[257..263].copy_from_slice(b"ustar\0");
    layer[263..265].copy_from_slice(b"00");
    layer[148..156].fill(b' ');
    let sum: u32 = layer.iter().map(|byte| u32::from(*byte)).sum();
    layer[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    layer.extend_from_slice(&content);
    layer.resize(layer.len().next_multiple_of(512) + 1024, 0);
    write(&layer).unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&layer).to_string()] },
    })
    .to_string();
    write(config.as_bytes()).unwrap();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string();
    write(manifest.as_bytes()).unwrap();
    let mut entry = descriptor(IMAGE_MANIFEST, manifest.as_bytes());
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "t" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    Digest::sha256(manifest.as_bytes())
}

#[test]
fn skopeo_copies_there_and_back() {
    test_support::need!(&["skopeo"]);
    let service = Service::start();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let digest = layout(&path("in"));
    let image = format!("docker://{}/tools/x:v1", service.host());
    let from = format!("oci:{}:t", path("in").display());
    let to = format!("oci:{}:t", path("out").display());
    // By default skopeo compresses layers, which changes the manifest.
    let preserve = ["--preserve-digests", "--dest-tls-verify=false"];
    run(Command::new("skopeo").arg("copy").args(preserve).args([&from, &image]));
    run(Command::new("skopeo").args([
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        &image,
        &to,
    ]));
    for entry in fs::read_dir(path("in/blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        let back = path("out/blobs/sha256").join(entry.file_name());
        assert!(fs::read(back).unwrap() == fs::read(entry.path()).unwrap());
    }
    let inspect = run(Command::new("skopeo").args([
        "inspect",
        "--tls-verify=false",
        "--format={{.Digest}}",
        &image,
    ]));
    assert_eq!(String::from_utf8_lossy(&inspect.stdout).trim(), digest.to_string());
    run(Command::new("skopeo").args(["delete", "--tls-verify=false", &image]));
    service.get("/v2/tools/x/manifests/v1").expect(404);
}

#[test]
fn skopeo_logs_in() {
    test_support::need!(&["skopeo"]);
    let folder = TempDir::new().unwrap();
    let users = format!("ci:{}\n", bcrypt::hash("test-only", 4).unwrap());
    fs::write(folder.path().join("users"), users).unwrap();
    layout(&folder.path().join("in"));
    let from = format!("oci:{}:t", folder.path().join("in").display());
    let config = "[registry]\nhtpasswd = \"FOLDER/users\"\n[[registry.access]]\npull = [\"anonymous\"]\npush = [\"ci\"]\n";
    let service = Service::start_in(folder, config);
    let image = format!("docker://{}/x:v1", service.host());
    let copy = |login: &[&str]| {
        let mut command = Command::new("skopeo");
        command.args(["copy", "--dest-tls-verify=false"]).args(login).args([&from, &image]);
        command.output().unwrap().status.success()
    };
    assert!(!copy(&["--dest-no-creds"]));
    assert!(!copy(&["--dest-creds", "ci:wrong"]));
    assert!(copy(&["--dest-creds", "ci:test-only"]));
    run(Command::new("skopeo").args(["inspect", "--tls-verify=false", "--no-creds", &image]));
}

#[test]
fn oras_attaches_and_discovers() {
    let Some(oras) = test_support::find("oras") else { return };
    let service = Service::start();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("sbom.json"), "{}").unwrap();
    fs::write(folder.path().join("file.txt"), bytes(100_000)).unwrap();
    let image = format!("{}/tools/x:v1", service.host());
    let oras =
        |arguments: &[&str]| run(Command::new(&oras).args(arguments).current_dir(folder.path()));
    oras(&["push", "--plain-http", &image, "file.txt:text/plain"]);
    let kind = "application/vnd.cyclonedx+json";
    oras(&[
        "attach",
        "--plain-http",
        "--artifact-type",
        kind,
        &image,
        "sbom.json:application/json",
    ]);
    let found = oras(&["discover", "--plain-http", "--format", "json", &image]);
    assert!(String::from_utf8_lossy(&found.stdout).contains(kind));
    oras(&["tag", "--plain-http", &image, "v2", "latest"]);
    let tags = oras(&["repo", "tags", "--plain-http", image.strip_suffix(":v1").unwrap()]);
    assert_eq!(String::from_utf8_lossy(&tags.stdout), "latest\nv1\nv2\n");
    oras(&["pull", "--plain-http", "--output", "out", &image]);
    let back = fs::read(folder.path().join("out/file.txt")).unwrap();
    assert!(back == bytes(100_000));
    oras(&[
        "copy",
        "--from-plain-http",
        "--to-plain-http",
        "-r",
        &image,
        &image.replace("/x", "/y"),
    ]);
    let found = oras(&["discover", "--plain-http", "--format", "json", &image.replace("/x", "/y")]);
    assert!(String::from_utf8_lossy(&found.stdout).contains(kind));
}

#[test]
fn podman_pushes_and_pulls() {
    test_support::need!(&["podman"]);
    let service = Service::start();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    layout(&folder.path().join("in"));
    let storage = [
        format!("--root={}", path("storage")),
        format!("--runroot={}", path("run")),
        "--storage-driver=vfs".to_owned(),
    ];
    let podman = |arguments: &[&str]| {
        run(Command::new("podman").args(&storage).args(arguments).current_dir(folder.path()))
    };
    let image = format!("{}/tools/x:v1", service.host());
    let loaded = podman(&["pull", "--quiet", "oci:in:t"]);
    let id = String::from_utf8_lossy(&loaded.stdout).trim().to_owned();
    podman(&["push", "--quiet", "--tls-verify=false", &id, &image]);
    podman(&["rmi", "--force", &id]);
    let pulled = podman(&["pull", "--quiet", "--tls-verify=false", &image]);
    assert_eq!(String::from_utf8_lossy(&pulled.stdout).trim(), id);
}
