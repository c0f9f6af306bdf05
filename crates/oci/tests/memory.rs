// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Memory does not grow with a blob. The only test of its program, because memory is the process's.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use oci::client::{Client, CredentialSource, Options, Pushed};
use oci::{Digest, Registry, Repository};

const SIZE: u64 = 64 * 1024 * 1024;
/// Buffers of the connection and of copying, with room to spare; an eighth of the blob.
const ALLOWED_KIB: u64 = 8 * 1024;

/// `SIZE` zeros.
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

/// A registry that takes everything, keeps nothing, and serves zeros.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    let (status, size) = match first.split(' ').next().unwrap() {
        "HEAD" => (404, 0),
        "GET" => (200, SIZE),
        "PUT" => (201, 0),
        _ => (202, 0),
    };
    write!(
        stream,
        "HTTP/1.1 {status} Zeros\r\nConnection: close\r\nLocation: /upload\r\nContent-Length: {size}\r\n\r\n"
    )?;
    io::copy(&mut io::repeat(0).take(size), &mut stream)?;
    Ok(())
}

/// The most memory that this process has had, in KiB (proc(5), `VmHWM`).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_a_blob() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry: Registry = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream).ok());
        }
    });
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
