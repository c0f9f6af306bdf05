// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! HTTP/1.1 as raw bytes on a socket, well-formed or not.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// Response size limit.
const LIMIT: u64 = 4 << 20;

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// Source address of the operator, hosts and health checks.
pub(super) const OURS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Source address of an attacker: one of 16, round robin. All of 127.0.0.0/8 is local.
pub(super) fn attacker() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    Ipv4Addr::new(127, 0, 0, 2 + NEXT.fetch_add(1, Ordering::Relaxed) % 16)
}

/// Connects from the given source address; `patience` limits connecting and each read and write.
pub(super) fn connect(from: Ipv4Addr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // The send timeout also limits connecting (socket(7)).
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
    bind(&socket, &SocketAddr::from((from, 0)))?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends `bytes` and reads the response, up to its length or until the server closes the
/// connection.
pub(super) fn send(
    from: Ipv4Addr,
    to: SocketAddr,
    bytes: &[u8],
    patience: Duration,
) -> io::Result<Answer> {
    let mut stream = connect(from, to, patience)?;
    // A server may respond and close before it has read everything.
    let sent = stream.write_all(bytes);
    let answer = read(&mut stream);
    if answer.is_err() { sent.and(answer) } else { answer }
}

/// Reads a response.
pub(super) fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let malformed = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    let mut reader = stream.take(LIMIT);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        match reader.read(&mut buffer)? {
            0 if bytes.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Err(malformed("the response header is truncated")),
            n => bytes.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    };
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| malformed("the response has no status"))?;
    let mut answer = Answer { status, head, body };
    let length = answer.header("content-length").and_then(|it| it.parse::<usize>().ok());
    while length.is_none_or(|length| answer.body.len() < length) {
        match reader.read(&mut buffer)? {
            0 => break,
            n => answer.body.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(answer)
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A request with `Connection: close`.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: smoke\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.extend([*name, ": ", *value, "\r\n"]);
    }
    if !matches!(method, "GET" | "HEAD") {
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
