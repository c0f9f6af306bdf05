// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A webhook server that stores reports, in place of the controller.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Polling interval for connections.
const PAUSE: Duration = Duration::from_millis(50);
/// Limits of a request: time and size in bytes.
const PATIENCE: Duration = Duration::from_secs(30);
const LIMIT: u64 = 64 * 1024;

/// A received report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Request path.
    pub(super) path: String,
    /// Value of `X-Webhook-Secret`.
    pub(super) secret: String,
    pub(super) body: String,
}

/// A webhook server on a free loopback port. Dropping it stops the server.
pub(super) struct Webhook {
    pub(super) port: u16,
    reports: Arc<Mutex<Vec<Report>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen for reports")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let reports = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (taken, stopped) = (Arc::clone(&reports), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    // An invalid request gets no response.
                    Ok((stream, _)) => {
                        if let Ok(report) = answer(&stream) {
                            taken.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                        }
                    }
                    Err(_) => std::thread::sleep(PAUSE),
                }
            }
        });
        Ok(Self { port, reports, stop, thread: Some(thread) })
    }

    /// Reports received so far.
    pub(super) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Reads a request and responds with 200 (RFC 9112).
fn answer(stream: &TcpStream) -> io::Result<Report> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(LIMIT));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut secret, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "x-webhook-secret" => value.trim().clone_into(&mut secret),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    let mut out = stream;
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(Report { path, secret, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_taken_and_answered() {
        let webhook = Webhook::start().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", webhook.port)).unwrap();
        stream
            .write_all(b"POST /x HTTP/1.1\r\nX-Webhook-Secret: s\r\nContent-Length: 2\r\n\r\n{}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop(stream);
        let report =
            Report { path: "/x".to_owned(), secret: "s".to_owned(), body: "{}".to_owned() };
        // The response is sent before the report is stored.
        while webhook.reports().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(webhook.reports(), [report]);
    }
}
