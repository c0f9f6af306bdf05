// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A registry in memory that writes down every call and fails when it is told to.
//! OCI distribution specification 1.1, as far as publishing and verifying need it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use oci::Digest;
use serde_json::{Value, json};

/// Which calls fail, counted from 0 since the last [`Registry::fail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// This call is refused.
    Only(usize),
    /// This call and all later ones are refused.
    From(usize),
    /// This call and all later ones are never answered.
    Hang(usize),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
    pub(crate) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<(String, String), String>,
    /// `METHOD PATH` of each call since the last [`Registry::fail`].
    pub(crate) calls: Vec<String>,
    uploads: usize,
    fault: Option<Fault>,
}

impl State {
    /// The tags that name a version: not those that stand for a digest.
    pub(crate) fn versions(&self) -> Vec<String> {
        let named = self.tags.keys().filter(|(_, tag)| !tag.starts_with("sha256-"));
        named.map(|(repository, tag)| format!("{repository}:{tag}")).collect()
    }

    /// Calls that change something.
    pub(crate) fn writes(&self) -> usize {
        self.calls.iter().filter(|c| !c.starts_with("GET ") && !c.starts_with("HEAD ")).count()
    }
}

/// Serves until the process ends.
pub(crate) struct Registry {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    content_type: String,
    body: Vec<u8>,
}

struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

impl Registry {
    /// `referrers` says whether it knows the referrers API.
    pub(crate) fn start(referrers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that was killed ends the thread.
                thread::spawn(move || serve(stream, &state, referrers).ok());
            }
        });
        Self { address, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Starts a new record of calls, some of which fail.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = Some(fault);
    }
}

/// Answers the requests of one connection, one after the other.
fn serve(mut stream: TcpStream, state: &Mutex<State>, referrers: bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while !reader.fill_buf()?.is_empty() {
        let request = read(&mut reader)?;
        let Some(Answer(status, headers, body)) = decide(&request, state, referrers) else {
            // Until the client goes away.
            reader.read_to_end(&mut Vec::new())?;
            return Ok(());
        };
        let mut head = format!("HTTP/1.1 {status} Answer\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", &value, "\r\n"]);
        }
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
        let mut bytes = head.into_bytes();
        if request.method != "HEAD" {
            bytes.extend(body);
        }
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes the call down and answers it, unless it is one that is never answered.
fn decide(request: &Request, state: &Mutex<State>, referrers: bool) -> Option<Answer> {
    let mut state = state.lock().unwrap();
    let number = state.calls.len();
    state.calls.push(format!("{} {}", request.method, request.path));
    match state.fault.unwrap_or(Fault::None) {
        Fault::Only(n) if number == n => Some(refused()),
        Fault::From(n) if number >= n => Some(refused()),
        Fault::Hang(n) if number >= n => None,
        _ => Some(answer(&mut state, request, referrers)),
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let (path, query) = match words.next().unwrap_or_default().split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (line.split_whitespace().nth(1).unwrap_or_default().to_owned(), String::new()),
    };
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => value.clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/")))
        .collect();
    Ok(Request { method, path, query, content_type, body })
}

fn refused() -> Answer {
    let body = json!({"errors": [{"code": "DENIED", "message": "a fault of the test"}]});
    Answer(403, Vec::new(), body.to_string().into_bytes())
}

fn found(condition: bool) -> Answer {
    Answer(if condition { 200 } else { 404 }, Vec::new(), Vec::new())
}

fn answer(state: &mut State, request: &Request, referrers: bool) -> Answer {
    let path = request.path.strip_prefix("/v2/").unwrap_or_default();
    if path.is_empty() {
        return found(request.path == "/v2/");
    }
    if let Some((repository, digest)) = path.split_once("/referrers/") {
        return if referrers { list(state, repository, digest) } else { found(false) };
    }
    if let Some((repository, reference)) = path.split_once("/manifests/") {
        return manifest(state, request, repository, reference, referrers);
    }
    let Some((repository, rest)) = path.split_once("/blobs/") else { return found(false) };
    match (request.method.as_str(), rest) {
        ("POST", _) => {
            let from = request.query.get("from").zip(request.query.get("mount"));
            if let Some((from, digest)) = from
                && let Some(bytes) = state.blobs.get(&(from.clone(), digest.clone())).cloned()
            {
                state.blobs.insert((repository.to_owned(), digest.clone()), bytes);
                return Answer(201, Vec::new(), Vec::new());
            }
            state.uploads += 1;
            let location = format!("/v2/{repository}/blobs/uploads/{}", state.uploads);
            Answer(202, vec![("Location", location)], Vec::new())
        }
        ("PUT", _) => {
            let digest = Digest::sha256(&request.body).to_string();
            assert_eq!(request.query.get("digest"), Some(&digest), "a wrong digest was sent");
            let place = (repository.to_owned(), digest.clone());
            let before = state.blobs.insert(place, request.body.clone());
            assert!(before.is_none(), "{repository}@{digest} was sent twice");
            Answer(201, Vec::new(), Vec::new())
        }
        (_, digest) => match state.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(bytes) => Answer(200, Vec::new(), bytes.clone()),
            None => found(false),
        },
    }
}

fn manifest(
    state: &mut State,
    request: &Request,
    repository: &str,
    reference: &str,
    referrers: bool,
) -> Answer {
    let key = |reference: &str| (repository.to_owned(), reference.to_owned());
    let digest = state.tags.get(&key(reference)).cloned().unwrap_or_else(|| reference.to_owned());
    match request.method.as_str() {
        "PUT" => {
            let digest = Digest::sha256(&request.body).to_string();
            let document: Value = serde_json::from_slice(&request.body).unwrap();
            for blob in std::iter::once(&document["config"])
                .chain(document["layers"].as_array().into_iter().flatten())
                .filter_map(|descriptor| descriptor["digest"].as_str())
            {
                assert!(state.blobs.contains_key(&key(blob)), "{repository} lacks the blob {blob}");
            }
            let mut headers = vec![("Docker-Content-Digest", digest.clone())];
            if let Some(subject) = document["subject"]["digest"].as_str().filter(|_| referrers) {
                headers.push(("OCI-Subject", subject.to_owned()));
            }
            if !reference.contains(':') {
                state.tags.insert(key(reference), digest.clone());
            }
            let content = (request.content_type.clone(), request.body.clone());
            state.manifests.insert(key(&digest), content);
            Answer(201, headers, Vec::new())
        }
        "DELETE" => {
            let there = state.tags.remove(&key(reference)).is_some();
            Answer(if there { 202 } else { 404 }, Vec::new(), Vec::new())
        }
        _ => match state.manifests.get(&key(&digest)) {
            Some((media_type, bytes)) => {
                let headers =
                    vec![("Docker-Content-Digest", digest), ("Content-Type", media_type.clone())];
                Answer(200, headers, bytes.clone())
            }
            None => found(false),
        },
    }
}

fn list(state: &State, repository: &str, subject: &str) -> Answer {
    let mut manifests = Vec::new();
    for ((place, digest), (media_type, bytes)) in &state.manifests {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        if place == repository && document["subject"]["digest"] == subject {
            manifests.push(json!({
                "mediaType": media_type, "digest": digest, "size": bytes.len(),
                "artifactType": document["artifactType"],
            }));
        }
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let headers = vec![("Content-Type", media_type.to_owned())];
    Answer(200, headers, index.to_string().into_bytes())
}
