// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Pulling blobs: OCI distribution specification 1.1, "Pulling blobs", and RFC 9110, section 14.

use oci::Digest;

use crate::support::{Service, bytes};

#[test]
fn a_blob_is_sent_complete_with_its_headers() {
    let service = Service::start();
    let content = bytes(1_000_003);
    let digest = service.push_blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    for reply in [service.get(&path).expect(200), service.head(&path).expect(200)] {
        assert_eq!(reply.header("content-length"), "1000003");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("accept-ranges"), "bytes");
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
    }
    assert!(service.get(&path).body == content);
}

#[test]
fn parts_of_a_blob() {
    let service = Service::start();
    let content = bytes(600_000);
    let digest = service.push_blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-199", 100..200),
        ("bytes=250000-550000", 250_000..550_001),
        ("bytes=599999-", 599_999..600_000),
        ("bytes=-1000", 599_000..600_000),
        ("bytes=599000-999999999", 599_000..600_000),
    ] {
        let reply = service.send("GET", &path, &[("range", range)], b"").expect(206);
        let content_range = format!("bytes {}-{}/600000", expected.start, expected.end - 1);
        assert_eq!(reply.header("content-range"), content_range);
        assert!(reply.body == content[expected], "{range}");
    }
    let reply = service.send("GET", &path, &[("range", "bytes=600000-")], b"").expect(416);
    assert_eq!(reply.header("content-range"), "bytes */600000");
    let reply = service.send("HEAD", &path, &[("range", "bytes=0-9")], b"").expect(206);
    assert_eq!(reply.header("content-length"), "10");
    let all = service.send("GET", &path, &[("range", "nonsense")], b"").expect(200);
    assert_eq!(all.body.len(), 600_000);
}

#[test]
fn several_parts_in_one_answer() {
    let service = Service::start();
    let digest = service.push_blob("a", b"0123456789abcdefghij");
    let path = format!("/v2/a/blobs/{digest}");
    let reply = service.send("GET", &path, &[("range", "bytes=0-1,10-12")], b"").expect(206);
    let kind = reply.header("content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/20\r\n\r\n{text}"
        )
    };
    let expected = part("0-1", "01") + &part("10-12", "abc") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.header("content-length"), expected.len().to_string());
}

#[test]
fn conditions() {
    let service = Service::start();
    let digest = service.push_blob("a", b"0123456789");
    let path = format!("/v2/a/blobs/{digest}");
    let etag = format!("\"{digest}\"");
    let send = |headers: &[(&str, &str)]| service.send("GET", &path, headers, b"");
    assert!(send(&[("if-none-match", &etag)]).expect(304).body.is_empty());
    assert!(send(&[("if-none-match", "W/\"x\", *")]).expect(304).body.is_empty());
    send(&[("if-none-match", "\"other\"")]).expect(200);
    let range = ("range", "bytes=0-1");
    assert_eq!(send(&[range, ("if-range", &etag)]).expect(206).body, b"01");
    send(&[range, ("if-range", "\"other\"")]).expect(200);
    send(&[range, ("if-range", "Mon, 23 Nov 2026 20:00:00 GMT")]).expect(200);
}

#[test]
fn what_is_not_there() {
    let service = Service::start();
    let digest = service.push_blob("a", b"content");
    service.get(&format!("/v2/b/blobs/{digest}")).expect_error(404, "BLOB_UNKNOWN");
    let absent = Digest::sha256(b"absent");
    service.get(&format!("/v2/a/blobs/{absent}")).expect_error(404, "BLOB_UNKNOWN");
    assert!(service.head(&format!("/v2/a/blobs/{absent}")).expect(404).body.is_empty());
    service.get("/v2/a/blobs/sha256:x").expect_error(400, "DIGEST_INVALID");
}
