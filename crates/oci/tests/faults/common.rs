// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A scripted HTTP server with fault injection.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::client::{Client, CredentialSource, Options, Policy};
use oci::{Registry, Repository};
use test_support::http::{self, Answer, Reply};

/// A received request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Header names are in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The part of the body that was read.
    pub(crate) body: Vec<u8>,
    /// Number of earlier requests with this method and path.
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

/// Reaction to a request, chosen before its body is read.
pub(crate) enum Action {
    /// Read the body and respond.
    Answer(Answer),
    /// Read this many bytes of the body, then drop the connection.
    Drop { after: u64 },
}

/// A response that closes the connection.
pub(crate) fn answer(status: u16) -> Answer {
    http::answer(status).header("Connection", "close")
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A server that records its requests.
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

    /// An anonymous client with short delays.
    pub(crate) fn client(&self) -> Client {
        self.client_with(CredentialSource::Anonymous)
    }

    pub(crate) fn client_with(&self, credentials: CredentialSource) -> Client {
        client(self.address(), credentials)
    }

    /// The anonymous client with other limits.
    pub(crate) fn client_limited(&self, change: impl FnOnce(&mut Options)) -> Client {
        let mut options = options(CredentialSource::Anonymous);
        change(&mut options);
        Client::new(&self.address().parse().unwrap(), options)
    }
}

pub(crate) fn client(address: &str, credentials: CredentialSource) -> Client {
    let registry: Registry = address.parse().unwrap();
    Client::new(&registry, options(credentials))
}

fn options(credentials: CredentialSource) -> Options {
    let retry = Policy { first: Duration::from_millis(1), ..Policy::default() };
    Options { credentials, retry, ..Options::default() }
}

pub(crate) fn repository() -> Repository {
    "tools/example".parse().unwrap()
}

/// Content above the limit for monolithic uploads, without repetition.
pub(crate) fn large() -> Vec<u8> {
    (0..6_000_000_u32).flat_map(|n| (n / 4).to_le_bytes()).take(6_000_000).collect()
}
