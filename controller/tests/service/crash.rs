// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `kill -9`: acknowledged data survives, and incomplete data is never served.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci::Digest;
use tempfile::TempDir;

use crate::support::{Process, bytes, controller};

/// Returns every content file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// Checks that every content matches the digest in its name.
fn check_contents(data: &Path) -> usize {
    let contents = files(&data.join("registry/blobs"));
    for path in &contents {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Digest::sha256(&fs::read(path).unwrap()).hex(), name);
    }
    contents.len()
}

#[test]
fn what_was_acknowledged_survives() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    let content = bytes(3 << 20);
    let blob = process.client.push_blob("a", &content);
    let (_, manifest) = process.client.push_image("a", "v1", "1");
    let location = process.client.start_upload("a");
    process.client.send("PATCH", &location, &[], &content[..1 << 20]).expect(202);
    process.kill();

    let process = Process::start(data.path());
    let client = &process.client;
    assert!(client.get(&format!("/v2/a/blobs/{blob}")).expect(200).body == content);
    let reply = client.get("/v2/a/manifests/v1").expect(200);
    assert_eq!(reply.header("docker-content-digest"), manifest.to_string());
    // The upload resumes at its offset.
    let state = client.get(&location).expect(204);
    assert_eq!(state.header("range"), format!("0-{}", (1 << 20) - 1));
    let again = [content.as_slice(), b"end"].concat();
    let digest = Digest::sha256(&again);
    let path = format!("{location}?digest={digest}");
    client.send("PUT", &path, &[], &again[1 << 20..]).expect(201);
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == again);
    check_contents(data.path());
}

#[test]
fn a_broken_push_can_go_on_or_start_again() {
    let data = TempDir::new().unwrap();
    let content = bytes(2 << 20);
    let digest = Digest::sha256(&content);
    let process = Process::start(data.path());
    let location = process.client.start_upload("a");
    // Half of the announced body, then the end.
    let mut stream = TcpStream::connect(process.client.host()).unwrap();
    let head = format!(
        "PUT {location}?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&content[..1 << 20]).unwrap();
    process.kill();
    let mut answer = Vec::new();
    // Reset or closed, but never acknowledged.
    stream.read_to_end(&mut answer).ok();
    assert!(answer.is_empty());

    let process = Process::start(data.path());
    let client = &process.client;
    client.head(&format!("/v2/a/blobs/{digest}")).expect(404);
    let state = client.get(&location).expect(204);
    let end: usize = state.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    let came = if end == 0 { 0 } else { end + 1 };
    assert!(came <= 1 << 20);
    client.send("PUT", &format!("{location}?digest={digest}"), &[], &content[came..]).expect(201);
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == content);
}

/// Kills after each response to a client that pushes an image in chunks, and to one that deletes
/// it.
#[test]
fn killed_after_each_answer_of_a_push() {
    let data = TempDir::new().unwrap();
    let content = bytes(1 << 20);
    let (first, second) = content.split_at(content.len() / 3);
    let digest = Digest::sha256(&content);
    let blob = format!("/v2/a/blobs/{digest}");
    let again = |process: Process| {
        process.kill();
        Process::start(data.path())
    };

    let process = Process::start(data.path());
    let location = process.client.start_upload("a");
    let process = again(process);
    process.client.get(&location).expect(204);
    process.client.send("PATCH", &location, &[], first).expect(202);
    let process = again(process);
    let came = process.client.get(&location).expect(204).header("range").to_owned();
    assert_eq!(came, format!("0-{}", first.len() - 1));
    process.client.send("PATCH", &location, &[], second).expect(202);
    let process = again(process);
    process.client.head(&blob).expect(404);
    process.client.send("PUT", &format!("{location}?digest={digest}"), &[], b"").expect(201);
    let process = again(process);
    assert!(process.client.get(&blob).expect(200).body == content);
    process.client.get(&location).expect(404);
    let path = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    process.client.send("POST", &path, &[], b"").expect(201);
    let process = again(process);
    assert!(process.client.get(&format!("/v2/b/blobs/{digest}")).expect(200).body == content);
    let (manifest, name) = process.client.push_image("a", "v1", "1");
    let process = again(process);
    let tags = process.client.get("/v2/a/tags/list").expect(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["v1"]));
    let by_digest = format!("/v2/a/manifests/{name}");
    assert_eq!(process.client.get(&by_digest).expect(200).json(), manifest);
    process.client.delete("/v2/a/manifests/v1").expect(202);
    let process = again(process);
    process.client.get("/v2/a/manifests/v1").expect(404);
    process.client.get(&by_digest).expect(200);
    process.client.delete(&by_digest).expect(202);
    let process = again(process);
    process.client.get(&by_digest).expect(404);
    process.client.delete(&blob).expect(202);
    let process = again(process);
    process.client.head(&blob).expect(404);
    assert!(process.client.get(&format!("/v2/b/blobs/{digest}")).expect(200).body == content);
    check_contents(data.path());
}

#[test]
fn killed_at_any_moment() {
    let data = TempDir::new().unwrap();
    let mut acknowledged: Vec<(Digest, usize)> = Vec::new();
    for round in 0..6_u64 {
        let process = Process::start(data.path());
        for (digest, size) in &acknowledged {
            let reply = process.client.head(&format!("/v2/a/blobs/{digest}")).expect(200);
            assert_eq!(reply.header("content-length"), size.to_string());
        }
        let host = process.client.host().to_owned();
        let pushing = std::thread::spawn(move || {
            let mut done = Vec::new();
            for n in 0..1000_usize {
                let size = (n * 7919 + 1) % 300_000;
                let mut content = bytes(size);
                content.extend_from_slice(&round.to_le_bytes());
                content.extend_from_slice(&n.to_le_bytes());
                match push(&host, &content) {
                    Some(digest) => done.push((digest, content.len())),
                    None => break,
                }
            }
            done
        });
        std::thread::sleep(Duration::from_millis(40 + round * 31));
        process.kill();
        acknowledged.extend(pushing.join().unwrap());
    }
    let process = Process::start(data.path());
    for (digest, _) in &acknowledged {
        let reply = process.client.get(&format!("/v2/a/blobs/{digest}")).expect(200);
        assert_eq!(Digest::sha256(&reply.body), *digest);
    }
    assert!(check_contents(data.path()) >= acknowledged.len());
}

/// Pushes a blob. None unless it was acknowledged.
fn push(host: &str, content: &[u8]) -> Option<Digest> {
    let digest = Digest::sha256(content);
    let mut stream = TcpStream::connect(host).ok()?;
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(content).ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).ok()?;
    (&status == b"HTTP/1.1 201").then_some(digest)
}

#[test]
fn one_folder_has_one_server() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    let second = controller(&["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(stderr.contains("is in use by another controller"), "{stderr}");
    process.client.get("/healthz").expect(200);
}
