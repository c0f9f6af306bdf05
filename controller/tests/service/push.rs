// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Pushing blobs: OCI distribution specification 1.1, "Pushing blobs".

use oci::Digest;
use oci::digest::Algorithm;

use crate::support::{self, Service, bytes};

#[test]
fn in_one_request() {
    let service = Service::start();
    let content = bytes(1 << 20);
    let digest = Digest::sha256(&content);
    let path = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    let reply = service.send("POST", &path, &[], &content).expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert!(service.get(&format!("/v2/a/b/blobs/{digest}")).expect(200).body == content);
}

#[test]
fn in_two_requests() {
    let service = Service::start();
    let location = service.start_upload("a");
    let digest = Digest::sha256(b"content");
    // Percent-encoded, as some clients do.
    let path = format!("{location}?digest={}", digest.to_string().replace(':', "%3A"));
    let reply = service.send("PUT", &path, &[], b"content").expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/blobs/{digest}"));
    // The upload has ended.
    service.get(&location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn in_chunks_of_any_size() {
    let service = Service::start();
    let content = bytes(700_000);
    let location = service.start_upload("a");
    let mut sent = 0_usize;
    for size in [1, 99, 262_144, 300_000, 0] {
        let range = format!("{sent}-{}", (sent + size).saturating_sub(1));
        let headers: &[(&str, &str)] =
            if size == 0 { &[] } else { &[("content-range", range.as_str())] };
        let chunk = &content[sent..sent + size];
        let reply = service.send("PATCH", &location, headers, chunk).expect(202);
        sent += size;
        assert_eq!(reply.header("location"), location);
        assert_eq!(reply.header("range"), format!("0-{}", sent - 1));
        let state = service.get(&location).expect(204);
        assert_eq!(state.header("range"), format!("0-{}", sent - 1));
        assert_eq!(state.header("location"), location);
    }
    let digest = Digest::sha256(&content);
    let path = format!("{location}?digest={digest}");
    // The last chunk is in the request that completes the upload.
    service.send("PUT", &path, &[], &content[sent..]).expect(201);
    assert!(service.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == content);
}

#[test]
fn a_chunk_out_of_order_is_refused_and_changes_nothing() {
    let service = Service::start();
    let location = service.start_upload("a");
    let client = &service.client;
    client.send("PATCH", &location, &[("content-range", "0-4")], b"01234").expect(202);
    for range in ["0-4", "4-8", "6-10"] {
        let reply = client.send("PATCH", &location, &[("content-range", range)], b"xxxxx");
        let reply = reply.expect_error(416, "BLOB_UPLOAD_INVALID");
        assert_eq!(reply.header("range"), "0-4");
        assert_eq!(reply.header("location"), location);
    }
    let digest = Digest::sha256(b"0123456789");
    let path = format!("{location}?digest={digest}");
    client.send("PUT", &path, &[("content-range", "0-4")], b"56789").expect(416);
    client.send("PATCH", &location, &[("content-range", "nonsense")], b"x").expect(400);
    client
        .send("PATCH", &location, &[("content-range", "5-9")], b"only 4"[..4].as_ref())
        .expect_error(400, "SIZE_INVALID");
    client.send("PUT", &path, &[("content-range", "5-9")], b"56789").expect(201);
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_is_kept() {
    let client = &Service::start();
    let other = Digest::sha256(b"other");
    let location = client.start_upload("a");
    client
        .send("PUT", &format!("{location}?digest={other}"), &[], b"content")
        .expect_error(400, "DIGEST_INVALID");
    client.head(&format!("/v2/a/blobs/{other}")).expect(404);
    client.head(&format!("/v2/a/blobs/{}", Digest::sha256(b"content"))).expect(404);
    for digest in ["", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:xyz", "nonsense"] {
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        client.send("POST", &path, &[], b"x").expect_error(400, "DIGEST_INVALID");
    }
    let location = client.start_upload("a");
    client.send("PUT", &location, &[], b"x").expect_error(400, "DIGEST_INVALID");
}

#[test]
fn by_sha512() {
    let client = &Service::start();
    let digest = support::digest(Algorithm::Sha512, b"content");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    client.send("POST", &path, &[], b"content").expect(201);
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body, b"content");
    // The upload was started without an algorithm.
    let digest = support::digest(Algorithm::Sha512, b"more content");
    let location = client.start_upload("a");
    client.send("PATCH", &location, &[], b"more ").expect(202);
    client.send("PUT", &format!("{location}?digest={digest}"), &[], b"content").expect(201);
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body, b"more content");
    // Started for SHA-512, completed with SHA-256.
    let path = "/v2/a/blobs/uploads/?digest-algorithm=sha512";
    let location = client.send("POST", path, &[], b"").expect(202).header("location").to_owned();
    let digest = Digest::sha256(b"third");
    client.send("PUT", &format!("{location}?digest={digest}"), &[], b"third").expect(201);
    let path = "/v2/a/blobs/uploads/?digest-algorithm=md5";
    client.send("POST", path, &[], b"").expect_error(400, "DIGEST_INVALID");
}

#[test]
fn an_empty_blob_is_a_blob() {
    let service = Service::start();
    let digest = service.push_blob("a", b"");
    let reply = service.get(&format!("/v2/a/blobs/{digest}")).expect(200);
    assert_eq!(reply.header("content-length"), "0");
    let location = service.start_upload("b");
    service.send("PUT", &format!("{location}?digest={digest}"), &[], b"").expect(201);
}

#[test]
fn the_same_blob_twice() {
    let service = Service::start();
    let first = service.push_blob("a", b"content");
    let second = service.push_blob("a", b"content");
    let elsewhere = service.push_blob("b", b"content");
    assert!(first == second && first == elsewhere);
    service.delete(&format!("/v2/a/blobs/{first}")).expect(202);
    assert_eq!(service.get(&format!("/v2/b/blobs/{first}")).expect(200).body, b"content");
}

#[test]
fn an_upload_can_be_given_up() {
    let service = Service::start();
    let location = service.start_upload("a");
    service.send("PATCH", &location, &[], b"x").expect(202);
    service.delete(&location).expect(204);
    service.get(&location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    service.delete(&location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    service.send("PATCH", &location, &[], b"x").expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn an_upload_belongs_to_its_repository() {
    let service = Service::start();
    let location = service.start_upload("a");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    service.get(&elsewhere).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    service.get(&location).expect(204);
    for id in ["x", "..", "%2e%2e%2fsecret", &"0".repeat(32)] {
        let path = format!("/v2/a/blobs/uploads/{id}");
        assert_eq!(service.get(&path).status, 404, "{id}");
    }
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let client = &Service::start();
    let digest = client.push_blob("from/here", b"content");
    let mount = |digest: &Digest, from: &str| {
        client.send("POST", &format!("/v2/to/blobs/uploads/?mount={digest}&from={from}"), &[], b"")
    };
    let reply = mount(&digest, "from/here").expect(201);
    assert_eq!(reply.header("location"), format!("/v2/to/blobs/{digest}"));
    assert_eq!(client.get(&format!("/v2/to/blobs/{digest}")).expect(200).body, b"content");
    // An absent blob starts an upload.
    let reply = mount(&Digest::sha256(b"absent"), "from/here").expect(202);
    assert!(reply.header("location").starts_with("/v2/to/blobs/uploads/"));
    mount(&digest, "nowhere").expect(202);
    mount(&digest, "NO").expect_error(400, "NAME_INVALID");
    // From any repository.
    let path = format!("/v2/else/blobs/uploads/?mount={digest}");
    client.send("POST", &path, &[], b"").expect(201);
}

#[test]
fn many_clients_push_the_same_blob_at_once() {
    let service = Service::start();
    let content = bytes(600_000);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, content) = (service.clone(), &content);
            scope.spawn(move || client.push_blob(&format!("r{}", n % 3), content));
        }
    });
    let digest = Digest::sha256(&content);
    for n in 0..3 {
        let got = service.get(&format!("/v2/r{n}/blobs/{digest}")).expect(200);
        assert!(got.body == content);
    }
}

#[test]
fn an_upload_that_nobody_continues_is_dropped() {
    let folder = tempfile::TempDir::new().unwrap();
    let storage = controller::registry::storage::Storage::open(folder.path().into()).unwrap();
    // The repository contains nothing else.
    let name = "only/uploads".parse().unwrap();
    let id = storage.start_upload(&name, Algorithm::Sha256).unwrap();
    let hour = std::time::Duration::from_hours(1);
    assert_eq!(storage.expire_uploads(hour).unwrap(), 0);
    let session = storage.resume_upload(&name, &id).unwrap();
    assert_eq!(session.pause().unwrap(), 0);
    assert_eq!(storage.expire_uploads(std::time::Duration::ZERO).unwrap(), 1);
    assert!(storage.resume_upload(&name, &id).is_err());
}
