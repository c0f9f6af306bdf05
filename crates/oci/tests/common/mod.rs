// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A scripted HTTP server that fails on purpose.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use oci::client::{Client, CredentialSource, Options, Policy};
use oci::{Registry, Repository};

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
}

/// What the server does with a request. It sees the request without its body.
pub(crate) enum Action {
    /// Reads the body and answers.
    Answer(Answer),
    /// Reads so much of the body and drops the connection.
    Drop { after: usize },
}

#[derive(Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Drop the connection after so many bytes of the body.
    cut: Option<usize>,
}

pub(crate) fn answer(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

impl Answer {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

type Log = Arc<Mutex<Vec<Request>>>;

/// Listens on a free port of the loopback address until the process ends.
pub(crate) struct Server {
    address: String,
    log: Log,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Log::default();
        let (script, shared) = (Arc::new(script), log.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (script.clone(), shared.clone());
                // A client that goes away ends the thread; the test sees what the client saw.
                thread::spawn(move || serve(stream, &*script, &log).ok());
            }
        });
        Self { address, log }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
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
        client(&self.address, credentials)
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

fn serve(
    mut stream: TcpStream,
    script: &dyn Fn(&Request) -> Action,
    log: &Log,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    let earlier = log
        .lock()
        .unwrap()
        .iter()
        .filter(|r| r.method == method && path(&r.target) == path(&target))
        .count();
    let mut request = Request { method, target, headers, body: Vec::new(), earlier };
    let action = script(&request);
    let length = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let wanted = match &action {
        Action::Answer(_) => length,
        Action::Drop { after } => length.min(*after as u64),
    };
    (&mut reader).take(wanted).read_to_end(&mut request.body)?;
    let is_head = request.method == "HEAD";
    log.lock().unwrap().push(request);
    let Action::Answer(answer) = action else { return Ok(()) };
    let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", answer.status);
    let mut headers = answer.headers;
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        headers.push(("Content-Length".to_owned(), answer.body.len().to_string()));
    }
    for (name, value) in headers {
        head.extend([&name, ": ", &value, "\r\n"]);
    }
    head.push_str("\r\n");
    // One write, so that no packet waits for the acknowledgement of another.
    let mut bytes = head.into_bytes();
    if !is_head {
        let body = answer.body.get(..answer.cut.unwrap_or(answer.body.len()));
        bytes.extend_from_slice(body.unwrap_or_default());
    }
    stream.write_all(&bytes)
}
