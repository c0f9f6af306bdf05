// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Unknown paths and methods, and path traversal.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::Service;

#[test]
fn every_route_lists_its_methods() {
    let service = Service::start();
    let digest = format!("sha256:{}", "0".repeat(64));
    for (method, path, allowed) in [
        ("PUT", "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        ("POST", "/v2/_catalog".to_owned(), "GET, HEAD"),
        ("DELETE", format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
        ("POST", format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("PATCH", "/v2/a/manifests/v1".to_owned(), "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            "POST",
            format!("/v2/a/blobs/uploads/{}", "0".repeat(32)),
            "GET, HEAD, PATCH, PUT, DELETE",
        ),
    ] {
        let reply = service.send(method, &path, &[], b"");
        let reply = reply.expect_error(405, "UNSUPPORTED");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
    }
}

#[test]
fn names_follow_the_grammar() {
    let service = Service::start();
    let long = "a".repeat(256);
    for name in ["A", "a//b", "-a", "a-", "a..b", "%2e%2e", "a/%2e%2e/b", "_a", "a%00b", &long] {
        let path = format!("/v2/{name}/tags/list");
        service.get(&path).expect_error(400, "NAME_INVALID");
        let path = format!("/v2/{name}/blobs/uploads/");
        service.send("POST", &path, &[], b"").expect_error(400, "NAME_INVALID");
    }
    for path in ["/v2/a", "/v2/a/b/c", "/v2/a/tags", "/v2/tags/list/x"] {
        service.get(path).expect_error(404, "UNSUPPORTED");
    }
    service.get("/elsewhere").expect(404);
}

/// Sends a path verbatim; client libraries would normalize it.
fn raw(service: &Service, path: &str) -> String {
    let mut stream = TcpStream::connect(service.host()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_path_leaves_the_folder() {
    let service = Service::start();
    std::fs::write(service.folder().join("secret"), "hidden").unwrap();
    for path in [
        "/v2/../../secret",
        "/v2/a/manifests/../../../../../secret",
        "/v2/a/manifests/..%2f..%2f..%2f..%2fsecret",
        "/v2/..%2f..%2fsecret/manifests/x",
        "/v2/a/blobs/sha256:..%2f..%2fsecret",
        "/v2/a/blobs/uploads/..%2f..%2f..%2f..%2fsecret",
        "/v2/a/referrers/sha256:..",
    ] {
        let answer = raw(&service, path);
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(!answer.contains("hidden"), "{path}");
    }
}

#[test]
fn health_and_readiness() {
    let service = Service::start();
    assert_eq!(service.get("/healthz").expect(200).text(), "ok\n");
    assert_eq!(service.get("/readyz").expect(200).text(), "ok\n");
    // The folder is gone: the process is alive but not ready.
    let registry = service.folder().join("data/registry");
    std::fs::remove_dir_all(&registry).unwrap();
    std::fs::write(&registry, "").unwrap();
    service.get("/healthz").expect(200);
    // The result is cached for a moment.
    while service.get("/readyz").status == 200 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    service.get("/readyz").expect(503);
    let reply = service.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    // Details are only logged.
    let reply = reply.expect_error(500, "UNKNOWN");
    assert!(!reply.text().contains("data/registry"), "{}", reply.text());
}
