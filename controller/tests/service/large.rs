// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Upload and download of a blob of more than 10 GiB. It is a sparse file: the test creates the
//! first 10 GiB of the upload directly, and the service continues from there.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tempfile::TempDir;

use crate::support::Process;

const SIZE: u64 = (10 << 30) + 1;
/// SHA-256 of zeros: `head -c 10737418241 /dev/zero | sha256sum`.
const DIGEST: &str = "sha256:49df21db7bd70fabc46377317f03569115fa235eef0f0138a8b2c7d8b53ee628";

#[test]
#[ignore = "hashes 10 GiB: the nightly pipeline runs it"]
fn a_blob_of_more_than_10_gib() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    let location = process.client.start_upload("large");
    // The offset is in memory; a new process reads it from the file.
    process.kill();
    let upload = data.path().join("registry/repositories/large/_uploads");
    let upload = upload.join(location.rsplit('/').next().unwrap());
    OpenOptions::new().write(true).open(upload).unwrap().set_len(SIZE - 1).unwrap();

    let process = Process::start(data.path());
    let client = &process.client;
    let state = client.get(&location).expect(204);
    assert_eq!(state.header("range"), format!("0-{}", SIZE - 2));
    let range = format!("{}-{}", SIZE - 1, SIZE - 1);
    client.send("PATCH", &location, &[("content-range", &range)], &[0]).expect(202);
    client.send("PUT", &format!("{location}?digest={DIGEST}"), &[], b"").expect(201);
    let path = format!("/v2/large/blobs/{DIGEST}");
    assert_eq!(client.head(&path).expect(200).header("content-length"), SIZE.to_string());
    let range = format!("bytes={}-", SIZE - 3);
    let end = client.send("GET", &path, &[("range", &range)], b"").expect(206);
    assert_eq!(end.body, [0; 3]);
    let expected = format!("bytes {}-{}/{SIZE}", SIZE - 3, SIZE - 1);
    assert_eq!(end.header("content-range"), expected);

    let mut stream = TcpStream::connect(client.host()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let (mut buffer, zeros) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut came = 0;
    let mut head = None;
    loop {
        let count = stream.read(&mut buffer).unwrap();
        let bytes = &buffer[..count];
        if count == 0 {
            break;
        }
        // The head arrives first, in one piece.
        let head = head.get_or_insert_with(|| {
            bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() as u64 + 4
        });
        assert!(came < *head || bytes == &zeros[..count]);
        came += count as u64;
    }
    assert_eq!(came - head.unwrap(), SIZE);
}
