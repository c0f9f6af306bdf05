// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A webhook server that stores reports, in place of the controller.

use std::sync::{Arc, Mutex, PoisonError};

use test_support::http::{Server, answer};

/// Maximum size of a report in bytes.
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

/// A webhook server on a free loopback port.
pub(super) struct Webhook {
    server: Server,
    reports: Arc<Mutex<Vec<Report>>>,
}

impl Webhook {
    pub(super) fn start() -> Self {
        let reports = Arc::<Mutex<Vec<Report>>>::default();
        let taken = Arc::clone(&reports);
        let server = Server::start(move |request| {
            let report = Report {
                path: request.target.clone(),
                secret: request.header("x-webhook-secret").unwrap_or_default().to_owned(),
                body: String::from_utf8_lossy(&request.read(LIMIT)).into_owned(),
            };
            taken.lock().unwrap_or_else(PoisonError::into_inner).push(report);
            answer(200).header("Connection", "close")
        });
        Self { server, reports }
    }

    /// URL for a VM in QEMU's user network.
    pub(super) fn url_in_vm(&self) -> String {
        self.server.url().replace("127.0.0.1", "10.0.2.2")
    }

    /// Reports received so far.
    pub(super) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_report_is_taken_and_answered() {
        let webhook = Webhook::start();
        let mut stream = TcpStream::connect(webhook.server.address()).unwrap();
        stream
            .write_all(b"POST /x HTTP/1.1\r\nX-Webhook-Secret: s\r\nContent-Length: 2\r\n\r\n{}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let report =
            Report { path: "/x".to_owned(), secret: "s".to_owned(), body: "{}".to_owned() };
        assert_eq!(webhook.reports(), [report]);
    }
}
