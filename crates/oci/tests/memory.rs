// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Memory use does not depend on the blob size. In its own test binary, because memory is measured
//! per process.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};

use oci::client::{Client, CredentialSource, Options, Pushed};
use oci::{Digest, Registry, Repository};
use test_support::http::{Answer, Request, Server, answer};

const SIZE: u64 = 64 * 1024 * 1024;
/// Limit for connection and copy buffers: an eighth of the blob size.
const ALLOWED_KIB: u64 = 8 * 1024;

/// A reader of zeros.
struct Zeros(u64);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = io::repeat(0).take(SIZE - self.0).read(buffer)?;
        self.0 += n as u64;
        Ok(n)
    }
}

impl Seek for Zeros {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        if let SeekFrom::Start(start) = position {
            self.0 = start;
        }
        Ok(self.0)
    }
}

/// A registry that accepts everything, stores nothing and serves zeros.
fn serve(request: &mut Request<'_>) -> Answer {
    let (status, size) = match request.method.as_str() {
        "HEAD" => (404, 0),
        "GET" => (200, SIZE),
        "PUT" => (201, 0),
        _ => (202, 0),
    };
    let zeros = io::repeat(0).take(size);
    answer(status).header("Connection", "close").header("Location", "/upload").stream(size, zeros)
}

/// Peak memory of this process in KiB (proc(5), `VmHWM`).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_a_blob() {
    let registry: Registry = Server::start(serve).address().parse().unwrap();
    let options = Options { credentials: CredentialSource::Anonymous, ..Options::default() };
    let client = Client::new(&registry, options);
    let repository: Repository = "tools/example".parse().unwrap();
    let (digest, _) = Digest::sha256_of(Zeros(0)).unwrap();
    let before = peak();
    let pushed = client.push_blob(&repository, &digest, SIZE, None, &mut Zeros(0)).unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    let mut blob = client.blob(&repository, &digest, Some(SIZE)).unwrap();
    assert_eq!(io::copy(&mut blob, &mut io::sink()).unwrap(), SIZE);
    let grown = peak() - before;
    assert!(grown < ALLOWED_KIB, "{grown} KiB for a blob of {} KiB", SIZE / 1024);
}
