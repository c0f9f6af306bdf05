// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Cases of the OCI distribution conformance suite: every way to push a blob, with both algorithms,
//! and every kind of content pushed, listed, pulled and deleted.
//!
//! The suite needs a Go toolchain. These tests include its optional cases, except for manifests
//! with references that were never pushed: registries may refuse them, and this one does.

mod contents;

use oci::Digest;
use oci::digest::Algorithm;
use serde_json::json;

use crate::support::{Client, IMAGE_MANIFEST, Reply, Service, digest};

const REPOSITORY: &str = "conformance/repo1";
const OTHER: &str = "conformance/repo2";

/// A blob that no other test here pushes.
fn blob(name: &str, size: usize) -> Vec<u8> {
    name.bytes().cycle().take(size).collect()
}

fn post(client: &Client, repository: &str, query: &str, body: &[u8]) -> Reply {
    let path = format!("/v2/{repository}/blobs/uploads/{query}");
    let kind = [("content-type", "application/octet-stream")];
    client.send("POST", &path, &kind, body)
}

fn put(client: &Client, location: &str, digest: &Digest, body: &[u8]) -> Reply {
    client.send("PUT", &format!("{location}?digest={digest}"), &[], body)
}

fn chunk(client: &Client, location: &str, content: &[u8], start: usize, end: usize) -> Reply {
    let range = format!("{start}-{}", end - 1);
    client.send("PATCH", location, &[("content-range", &range)], &content[start..end])
}

fn location(reply: &Reply) -> String {
    reply.header("location").to_owned()
}

/// A way to push a blob. Returns the last response.
type Way = fn(&Client, &[u8], &Digest) -> Reply;

const WAYS: [(&str, Way); 7] = [
    ("post only", |client, content, digest| {
        post(client, REPOSITORY, &format!("?digest={digest}"), content)
    }),
    ("post and put", |client, content, digest| {
        put(client, &client.start_upload(REPOSITORY), digest, content)
    }),
    ("one chunk", |client, content, digest| {
        let location = client.start_upload(REPOSITORY);
        let reply = chunk(client, &location, content, 0, content.len()).expect(202);
        assert_eq!(reply.header("range"), format!("0-{}", content.len() - 1));
        put(client, reply.header("location"), digest, b"")
    }),
    ("stream", |client, content, digest| {
        let location = client.start_upload(REPOSITORY);
        let reply = client.send("PATCH", &location, &[], content).expect(202);
        put(client, reply.header("location"), digest, b"")
    }),
    ("three chunks", |client, content, digest| {
        let mut location = client.start_upload(REPOSITORY);
        let step = content.len().div_ceil(3);
        for start in (0..content.len()).step_by(step) {
            let end = (start + step).min(content.len());
            location = self::location(&chunk(client, &location, content, start, end).expect(202));
        }
        put(client, &location, digest, b"")
    }),
    ("the last chunk with put", |client, content, digest| {
        let location = client.start_upload(REPOSITORY);
        let half = content.len() / 2;
        let reply = chunk(client, &location, content, 0, half).expect(202);
        let path = format!("{}?digest={digest}", reply.header("location"));
        let range = format!("{half}-{}", content.len() - 1);
        client.send("PUT", &path, &[("content-range", &range)], &content[half..])
    }),
    ("out of order", |client, content, digest| {
        let mut location = client.start_upload(REPOSITORY);
        let step = content.len().div_ceil(3);
        for start in (0..content.len()).step_by(step) {
            let end = (start + step).min(content.len());
            let wrong = if end < content.len() { end } else { 0 };
            let wrong_end = (wrong + step).min(content.len());
            let refused = chunk(client, &location, content, wrong, wrong_end).expect(416);
            let state = client.get(refused.header("location")).expect(204);
            assert_eq!(state.header("range"), format!("0-{}", start.saturating_sub(1)));
            let reply = chunk(client, state.header("location"), content, start, end);
            location = self::location(&reply.expect(202));
        }
        put(client, &location, digest, b"")
    }),
];

/// A pushed blob is found by HEAD, GET and the `Location` of its push, and can be deleted.
fn check_blob(client: &Client, pushed: &Reply, content: &[u8], digest: &Digest, way: &str) {
    assert_eq!(pushed.status, 201, "{way}: {}", pushed.text());
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    for path in [&path, pushed.header("location")] {
        let got = client.get(path).expect(200);
        assert!(got.body == content, "{way}");
        assert_eq!(got.header("docker-content-digest"), digest.to_string());
    }
    let head = client.head(&path).expect(200);
    assert_eq!(head.header("content-length"), content.len().to_string());
    assert_eq!(head.header("docker-content-digest"), digest.to_string());
    client.delete(&path).expect(202);
    client.head(&path).expect(404);
    client.get(&path).expect_error(404, "BLOB_UNKNOWN");
}

#[test]
fn blobs_by_every_way_and_algorithm() {
    let client = &Service::start();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for (name, way) in WAYS {
            let content = blob(name, 3 * 1024 - 5);
            let digest = digest(algorithm, &content);
            client
                .get(&format!("/v2/{REPOSITORY}/blobs/{digest}"))
                .expect_error(404, "BLOB_UNKNOWN");
            let pushed = way(client, &content, &digest);
            check_blob(client, &pushed, &content, &digest, name);
        }
        for content in [&b""[..], b"{}"] {
            let digest = digest(algorithm, content);
            let pushed = post(client, REPOSITORY, &format!("?digest={digest}"), content);
            check_blob(client, &pushed, content, &digest, "well known");
        }
    }
}

#[test]
fn no_way_takes_another_content() {
    let client = &Service::start();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for (name, way) in WAYS {
            let content = blob(&format!("bad {name}"), 3 * 1024 - 5);
            let digest = digest(algorithm, b"what was meant");
            way(client, &content, &digest).expect_error(400, "DIGEST_INVALID");
            client.head(&format!("/v2/{REPOSITORY}/blobs/{digest}")).expect(404);
        }
    }
}

#[test]
fn mounts_and_uploads_that_are_given_up() {
    let client = &Service::start();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for from in [format!("&from={OTHER}"), String::new()] {
            let content = blob(&format!("mount {from}"), 512);
            let digest = digest(algorithm, &content);
            post(client, OTHER, &format!("?digest={digest}"), &content).expect(201);
            let pushed = post(client, REPOSITORY, &format!("?mount={digest}{from}"), b"");
            check_blob(client, &pushed, &content, &digest, "mount");
            client.delete(&format!("/v2/{OTHER}/blobs/{digest}")).expect(202);
            // Without a link it must be pushed again, even before garbage collection.
            let missing =
                post(client, REPOSITORY, &format!("?mount={digest}{from}"), b"").expect(202);
            let pushed = put(client, missing.header("location"), &digest, &content);
            check_blob(client, &pushed, &content, &digest, "mount of what is missing");
        }
        let location = client.start_upload(REPOSITORY);
        client.delete(&location).expect(204);
        put(client, &location, &digest(algorithm, b"x"), b"x")
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn ranges_of_a_blob() {
    let client = &Service::start();
    let content: Vec<u8> = (0..=255).cycle().take(2048).collect();
    let digest = client.push_blob(REPOSITORY, &content);
    let get = |range: &str| {
        client.send("GET", &format!("/v2/{REPOSITORY}/blobs/{digest}"), &[("range", range)], b"")
    };
    for (range, expected) in [
        ("bytes=500-1499", 500..1500),
        ("bytes=500-", 500..2048),
        ("bytes=-500", 1548..2048),
        ("bytes=2000-5000", 2000..2048),
    ] {
        let reply = get(range).expect(206);
        assert_eq!(reply.header("content-length"), expected.len().to_string());
        let content_range = format!("bytes {}-{}/2048", expected.start, expected.end - 1);
        assert_eq!(reply.header("content-range"), content_range);
        assert!(reply.body == content[expected], "{range}");
    }
    get("bytes=500-0").expect(416);
    get("bytes=5000-10000").expect(416);
}

#[test]
fn tags_after_another() {
    let client = &Service::start();
    client.get(&format!("/v2/{REPOSITORY}/tags/list")).expect_error(404, "NAME_UNKNOWN");
    let (manifest, _) = client.push_image(REPOSITORY, "tag-0", "tags");
    for n in 1..6 {
        client.push_manifest(REPOSITORY, &format!("tag-{n}"), &manifest);
    }
    let tags = |query: &str| {
        client.get(&format!("/v2/{REPOSITORY}/tags/list{query}")).expect(200).json()["tags"].clone()
    };
    assert_eq!(tags("?last=tag-2"), json!(["tag-3", "tag-4", "tag-5"]));
    assert_eq!(tags("?n=2&last=tag-0"), json!(["tag-1", "tag-2"]));
}

#[test]
fn bad_names_of_manifests() {
    let client = &Service::start();
    let manifest = client.image(REPOSITORY, "bad");
    let text = format!("{manifest}  ");
    let other = Digest::sha256(manifest.to_string().as_bytes());
    let kind = [("content-type", IMAGE_MANIFEST)];
    for reference in ["sha256:baddigeststring", &other.to_string()] {
        let path = format!("/v2/{REPOSITORY}/manifests/{reference}");
        client.send("PUT", &path, &kind, text.as_bytes()).expect_error(400, "DIGEST_INVALID");
    }
    let path = |reference: &str| format!("/v2/{REPOSITORY}/manifests/{reference}");
    client.get(&path("sha256:baddigeststring")).expect_error(400, "DIGEST_INVALID");
    client.get(&path(&other.to_string())).expect_error(404, "MANIFEST_UNKNOWN");
    client.get(&path("missing")).expect_error(404, "MANIFEST_UNKNOWN");
}
