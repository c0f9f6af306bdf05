// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A scripted HTTP server that fails on purpose.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::client::{Client, CredentialSource, Options, Policy};
use oci::{Registry, Repository};
use test_support::http::{self, Answer, Reply};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// What was read of the body.
    pub(crate) body: Vec<u8>,
    /// How often this method and path came before.
    pub(crate) earlier: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `METHOD TARGET`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What the server does with a request. It sees the request without its body.
pub(crate) enum Action {
    /// Reads the body and answers.
    Answer(Answer),
    /// Reads so much of the body and drops the connection.
    Drop { after: u64 },
}

/// An answer after which the connection is closed.
pub(crate) fn answer(status: u16) -> Answer {
    http::answer(status).header("Connection", "close")
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A server that writes down what it is asked.
pub(crate) struct Server {
    server: http::Server,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let shared = Arc::clone(&log);
        let server = http::Server::start(move |request| {
            let (method, target) = (request.method.clone(), request.target.clone());
            let headers = request.headers.clone();
            let mut seen = Request { method, target, headers, body: Vec::new(), earlier: 0 };
            let same = |r: &&Request| r.method == seen.method && r.path() == seen.path();
            seen.earlier = shared.lock().unwrap().iter().filter(same).count();
            let (limit, reply) = match script(&seen) {
                Action::Answer(answer) => (u64::MAX, Reply::Answer(answer)),
                Action::Drop { after } => (after, Reply::Close),
            };
            seen.body = request.read(limit);
            shared.lock().unwrap().push(seen);
            reply
        });
        Self { server, log }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.server.address()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// `METHOD TARGET` of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    /// An anonymous client that does not wait long.
    pub(crate) fn client(&self) -> Client {
        self.client_with(CredentialSource::Anonymous)
    }

    pub(crate) fn client_with(&self, credentials: CredentialSource) -> Client {
        client(self.address(), credentials)
    }
}

pub(crate) fn client(address: &str, credentials: CredentialSource) -> Client {
    let registry: Registry = address.parse().unwrap();
    let retry = Policy { first: Duration::from_millis(1), ..Policy::default() };
    Client::new(&registry, Options { credentials, retry, ..Options::default() })
}

pub(crate) fn repository() -> Repository {
    "tools/example".parse().unwrap()
}
