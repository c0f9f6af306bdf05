// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Shutdown: requests may finish, up to a limit.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::Process;

fn terminate(process: &Process) {
    process.signal(Signal::TERM);
}

/// Starts to append four bytes to an upload and sends two of them.
fn half_a_request(process: &Process) -> TcpStream {
    let location = process.client.start_upload("a");
    let mut stream = TcpStream::connect(process.client.host()).unwrap();
    // With `Expect`, the interim response shows that the service has begun to read.
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").unwrap();
    stream
}

#[test]
fn a_request_that_has_begun_ends_well() {
    let data = TempDir::new().unwrap();
    let mut process = Process::start(data.path());
    let mut stream = half_a_request(&process);
    terminate(&process);
    // New connections are refused.
    while TcpStream::connect(process.client.host()).is_ok() {
        std::thread::yield_now();
    }
    assert!(process.child.try_wait().unwrap().is_none());
    stream.write_all(b"cd").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_request_that_never_ends_is_broken_off() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("c.toml");
    fs::write(&config, "[server]\nshutdown_timeout = \"100ms\"\n").unwrap();
    let address = folder.path().join("address");
    let log = tempfile::NamedTempFile::new().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_controller"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .arg("--address-file")
        .arg(&address)
        .stdout(Stdio::null())
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
    // The file is written atomically.
    let url = loop {
        match fs::read_to_string(&address) {
            Ok(text) => break text,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    let client = crate::support::Client::new(url.trim_end());
    let mut process = Process { client, child, log };
    let _stream = half_a_request(&process);
    terminate(&process);
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    test_support::assert_contains(process.read_log(), "open requests aborted");
}
