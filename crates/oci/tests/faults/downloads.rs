// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests of downloads that break off, are too slow, or have other content.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use oci::Digest;
use oci::client::{Client, MinimumRate};
use test_support::assert_contains;

use crate::common::{Request, Server, answer, large, repository};

fn read(server: &Server, content: &[u8]) -> Result<Vec<u8>, String> {
    read_with(&server.client(), content)
}

fn read_with(client: &Client, content: &[u8]) -> Result<Vec<u8>, String> {
    let digest = Digest::sha256(content);
    let mut reader = client
        .blob(&repository(), &digest, Some(content.len() as u64))
        .map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Start offset of the `Range` header.
fn start(request: &Request) -> Option<usize> {
    request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

#[test]
fn a_blob_that_breaks_off_is_fetched_from_there() {
    let content = large();
    let served = content.clone();
    let server = Server::start(move |request| match start(request) {
        None => answer(200).body(served.clone()).cut(1_000_000).into(),
        Some(at) if request.earlier < 3 => answer(206)
            .header("Content-Range", format!("bytes {at}-{}/{}", served.len() - 1, served.len()))
            .body(&served[at..])
            .cut(1_500_000)
            .into(),
        Some(at) => answer(206)
            .header("Content-Range", format!("bytes {at}-{}/{}", served.len() - 1, served.len()))
            .body(&served[at..])
            .into(),
    });
    assert!(read(&server, &content).unwrap() == content);
    let starts: Vec<_> = server.requests().iter().map(start).collect();
    assert_eq!(starts, [None, Some(1_000_000), Some(2_500_000), Some(4_000_000)]);
}

#[test]
fn a_registry_without_ranges_serves_from_the_start_again() {
    let content = large();
    let served = content.clone();
    let server = Server::start(move |request| {
        let whole = answer(200).body(served.clone());
        if request.earlier == 0 { whole.cut(3_000_000).into() } else { whole.into() }
    });
    assert!(read(&server, &content).unwrap() == content);
}

#[test]
fn a_blob_that_never_gets_on_is_given_up() {
    let server = Server::start(|_| answer(200).body(vec![0; 100]).cut(10).into());
    assert_contains(read(&server, &[0; 100]).unwrap_err(), "/v2/tools/example/blobs/sha256:");
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_wrong_range_is_not_glued_together() {
    let server = Server::start(|request| match start(request) {
        None => answer(200).body(vec![0; 100]).cut(10).into(),
        Some(_) => answer(206).header("Content-Range", "bytes 0-99/100").body(vec![0; 100]).into(),
    });
    let message = read(&server, &[0; 100]).unwrap_err();
    assert!(message.contains("requested bytes from 10, received \"bytes 0-99/100\""), "{message}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_digest_ends_in_an_error_and_is_not_asked_for_again() {
    let server = Server::start(|_| answer(200).body("c0ntent").into());
    let message = read(&server, b"content").unwrap_err();
    assert!(message.starts_with("content has the digest sha256:"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_size_than_promised_is_refused_before_reading() {
    let server = Server::start(|_| answer(200).body("short").into());
    assert_contains(read(&server, b"content").unwrap_err(), "has 5 bytes, expected 7");
}

/// Otherwise the traffic grows with the square of the size.
#[test]
fn a_download_that_often_breaks_off_is_given_up_despite_its_progress() {
    let content = large();
    let served = content.clone();
    let whole = Server::start(move |request| {
        answer(200).body(served.clone()).cut(1_100_000 * (request.earlier as u64 + 1)).into()
    });
    assert_contains(read(&whole, &content).unwrap_err(), "/v2/tools/example/blobs/sha256:");
    assert_eq!(whole.requests().len(), 5);

    let served = content.clone();
    let ranges = Server::start(move |request| {
        let at = start(request).unwrap_or_default();
        let range = format!("bytes {at}-{}/{}", served.len() - 1, served.len());
        let reply = answer(if at == 0 { 200 } else { 206 }).header("Content-Range", range);
        reply.body(&served[at..]).cut(1_100_000).into()
    });
    let client = ranges.client_limited(|options| options.resumptions = 3);
    assert_contains(read_with(&client, &content).unwrap_err(), "/v2/tools/example/blobs/sha256:");
    assert_eq!(ranges.requests().len(), 4);
}

/// A body with more bytes than a buffer at once, and the rest long after the test.
struct Endless(usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            thread::sleep(Duration::from_secs(20));
        }
        let count = buffer.len().min(self.0.max(1));
        buffer[..count].fill(b' ');
        self.0 -= count.min(self.0);
        Ok(count)
    }
}

#[test]
fn a_document_that_takes_too_long_is_given_up() {
    let slow = || Server::start(|_| answer(200).stream(100_000, Endless(90_000)).into());
    let server = slow();
    let challenge = format!("Bearer realm=\"http://{}/token\"", slow().address());
    let registry =
        Server::start(move |_| answer(401).header("WWW-Authenticate", &challenge).into());
    let of = |server: &Server| {
        server.client_limited(|options| options.deadline = Duration::from_millis(20))
    };
    let document = of(&server).document(&repository(), &Digest::sha256(b""), 100_000);
    for error in [
        of(&server).manifest(&repository(), &"v1".parse().unwrap()).unwrap_err().to_string(),
        of(&server).tags(&repository()).unwrap_err().to_string(),
        of(&registry).ping().unwrap_err().to_string(),
        document.map_or_else(
            |error| error.to_string(),
            |mut blob| blob.read_to_end(&mut Vec::new()).unwrap_err().to_string(),
        ),
    ] {
        assert!(error.ends_with(": the time limit for a whole document has passed"), "{error}");
    }
}

#[test]
fn a_blob_below_the_minimum_rate_is_given_up() {
    let server = Server::start(|_| answer(200).body("content").into());
    let rate = MinimumRate { bytes: 8, period: Duration::ZERO };
    let client = server.client_limited(|options| options.rate = rate);
    let error = read_with(&client, b"content").unwrap_err();
    assert!(error.ends_with(": less than 8 bytes in 0 s"), "{error}");
    assert_eq!(server.requests().len(), 5);
}
