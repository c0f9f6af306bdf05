// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! An in-memory registry that records requests and injects faults. Implements the OCI distribution
//! specification 1.1 as far as publishing and verifying need it.
#![allow(dead_code, reason = "unit tests and integration tests use a part of it each")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use oci::Digest;
use serde_json::{Value, json};
use test_support::http::{Answer, Reply, Request, Server, answer};

/// Requests to fail, counted from 0 since the last [`Registry::fail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// This request fails.
    Only(usize),
    /// This and all later requests fail.
    From(usize),
    /// This and all later requests get no response.
    Hang(usize),
    /// This call fails in this way.
    Once(usize, Failure),
    /// This call and all later ones fail in this way.
    Forever(usize, Failure),
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is closed in place of an answer.
    Dropped,
    /// The call does its work, and the connection is closed in place of the answer.
    Lost,
    /// It is answered with this status.
    Status(u16),
    /// It is answered with 429, and may be repeated at once.
    Busy,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
    pub(crate) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<(String, String), String>,
    /// `METHOD PATH` of each request since the last [`Registry::fail`].
    pub(crate) calls: Vec<String>,
    uploads: usize,
    fault: Option<Fault>,
    /// Nobody may push to it.
    denied: Option<String>,
    /// What another client pushes right before this request.
    pub(crate) meanwhile: Option<(usize, Box<Self>)>,
    /// Its time, in the form of `Date`.
    pub(crate) date: Option<String>,
}

impl State {
    /// Version tags, without the tags of digests.
    pub(crate) fn versions(&self) -> Vec<String> {
        let named = self.tags.keys().filter(|(_, tag)| !tag.starts_with("sha256-"));
        named.map(|(repository, tag)| format!("{repository}:{tag}")).collect()
    }

    /// What the tag of a channel points to in each repository, but for the records.
    pub(crate) fn channel(&self, name: &str) -> BTreeMap<String, String> {
        let tags = self
            .tags
            .iter()
            .filter(|((repository, tag), _)| tag == name && !repository.ends_with("/channels"));
        tags.map(|((repository, _), digest)| (repository.clone(), digest.clone())).collect()
    }

    /// Edits the manifest that a tag points to. Returns the digest of the one before.
    pub(crate) fn edit(
        &mut self,
        repository: &str,
        tag: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let place = |reference: &str| (repository.to_owned(), reference.to_owned());
        let before = self.tags[&place(tag)].clone();
        let (media_type, bytes) = self.manifests[&place(&before)].clone();
        let mut manifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut manifest);
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::sha256(&bytes).to_string();
        self.manifests.insert(place(&digest), (media_type, bytes));
        self.tags.insert(place(tag), digest);
        before
    }

    /// Adds what another client pushed, if it is time.
    fn push_meanwhile(&mut self, number: usize) {
        if let Some((_, other)) = self.meanwhile.take_if(|it| it.0 == number) {
            self.blobs.extend(other.blobs);
            self.manifests.extend(other.manifests);
            self.tags.extend(other.tags);
        }
    }

    /// Number of write requests.
    pub(crate) fn writes(&self) -> usize {
        self.calls.iter().filter(|c| !c.starts_with("GET ") && !c.starts_with("HEAD ")).count()
    }
}

/// A registry that serves until the process ends.
pub(crate) struct Registry {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Registry {
    /// Starts the registry, with or without the referrers API.
    pub(crate) fn start(referrers: bool) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let server = Server::start(move |request| decide(request, &shared, referrers));
        Self { address: server.address().to_owned(), state }
    }

    /// `HOST:PORT/product`
    pub(crate) fn namespace(&self) -> String {
        format!("{}/product", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Removes everything.
    pub(crate) fn reset(&self) {
        *self.state() = State::default();
    }

    /// Lets nobody push to `repository`.
    pub(crate) fn deny(&self, repository: &str) {
        self.state().denied = Some(repository.to_owned());
    }

    /// Starts a new record of calls, some of which fail.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = Some(fault);
    }
}

/// Records the request and responds, or hangs.
fn decide(request: &mut Request<'_>, state: &Mutex<State>, referrers: bool) -> Reply {
    let body = request.body();
    let length = request.header("content-length").map_or(0, |it| it.parse().unwrap());
    let mut state = state.lock().unwrap();
    let number = state.calls.len();
    state.push_meanwhile(number);
    state.calls.push(format!("{} {}", request.method, request.path()));
    if body.len() < length {
        // The client was killed while it sent.
        return answer(400).into();
    }
    match state.fault.unwrap_or(Fault::None) {
        Fault::Only(n) if number == n => refuse().into(),
        Fault::From(n) if number >= n => refuse().into(),
        Fault::Hang(n) if number >= n => Reply::Hang,
        Fault::Once(n, failure) if number == n => {
            failure.reply(&mut state, request, body, referrers)
        }
        Fault::Forever(n, failure) if number >= n => {
            failure.reply(&mut state, request, body, referrers)
        }
        _ => respond(&mut state, request, body, referrers).into(),
    }
}

impl Failure {
    fn reply(
        self,
        state: &mut State,
        request: &Request<'_>,
        body: Vec<u8>,
        referrers: bool,
    ) -> Reply {
        match self {
            Self::Dropped => Reply::Close,
            Self::Lost => {
                respond(state, request, body, referrers);
                Reply::Close
            }
            Self::Status(status) => error(status).into(),
            Self::Busy => error(429).header("Retry-After", "0").into(),
        }
    }
}

fn refuse() -> Answer {
    error(403)
}

fn error(status: u16) -> Answer {
    let body = json!({"errors": [{"code": "DENIED", "message": "a fault of the test"}]});
    answer(status).body(body.to_string())
}

fn answer_found(condition: bool) -> Answer {
    answer(if condition { 200 } else { 404 })
}

fn respond(state: &mut State, request: &Request<'_>, body: Vec<u8>, referrers: bool) -> Answer {
    let path = request.path().strip_prefix("/v2/").unwrap_or_default();
    if path.is_empty() {
        let reply = answer_found(request.path() == "/v2/");
        return state.date.iter().fold(reply, |reply, date| reply.header("Date", date));
    }
    if let Some((repository, digest)) = path.split_once("/referrers/") {
        return if referrers { list(state, repository, digest) } else { answer_found(false) };
    }
    if let Some((repository, reference)) = path.split_once("/manifests/") {
        return manifest(state, request, body, (repository, reference), referrers);
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        let tags = state.tags.keys().filter(|(place, _)| place == repository);
        let tags: Vec<_> = tags.map(|(_, tag)| tag).collect();
        return answer(200).body(json!({"name": repository, "tags": tags}).to_string());
    }
    let Some((repository, rest)) = path.split_once("/blobs/") else { return answer_found(false) };
    let query = request.query();
    match (request.method.as_str(), rest) {
        ("POST", _) if state.denied.as_deref() == Some(repository) => refuse(),
        ("POST", _) => {
            let from = query.get("from").zip(query.get("mount"));
            if let Some((from, digest)) = from
                && let Some(bytes) = state.blobs.get(&(from.clone(), digest.clone())).cloned()
            {
                state.blobs.insert((repository.to_owned(), digest.clone()), bytes);
                return answer(201);
            }
            state.uploads += 1;
            let location = format!("/v2/{repository}/blobs/uploads/{}", state.uploads);
            answer(202).header("Location", location)
        }
        ("PUT", _) => {
            let digest = Digest::sha256(&body).to_string();
            assert_eq!(query.get("digest"), Some(&digest), "a wrong digest was sent");
            let place = (repository.to_owned(), digest.clone());
            let before = state.blobs.insert(place, body);
            assert!(before.is_none(), "{repository}@{digest} was sent twice");
            answer(201)
        }
        ("DELETE", _) => answer(204),
        (_, digest) => match state.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(bytes) => answer(200).body(bytes.clone()),
            None => answer_found(false),
        },
    }
}

fn manifest(
    state: &mut State,
    request: &Request<'_>,
    body: Vec<u8>,
    (repository, reference): (&str, &str),
    referrers: bool,
) -> Answer {
    let key = |reference: &str| (repository.to_owned(), reference.to_owned());
    let digest = state.tags.get(&key(reference)).cloned().unwrap_or_else(|| reference.to_owned());
    match request.method.as_str() {
        "PUT" => {
            let digest = Digest::sha256(&body).to_string();
            let document: Value = serde_json::from_slice(&body).unwrap();
            for blob in std::iter::once(&document["config"])
                .chain(document["layers"].as_array().into_iter().flatten())
                .filter_map(|descriptor| descriptor["digest"].as_str())
            {
                assert!(state.blobs.contains_key(&key(blob)), "{repository} lacks the blob {blob}");
            }
            let mut reply = answer(201).header("Docker-Content-Digest", &digest);
            if let Some(subject) = document["subject"]["digest"].as_str().filter(|_| referrers) {
                reply = reply.header("OCI-Subject", subject);
            }
            if !reference.contains(':') {
                state.tags.insert(key(reference), digest.clone());
            }
            let media_type = request.header("content-type").unwrap_or_default().to_owned();
            state.manifests.insert(key(&digest), (media_type, body));
            reply
        }
        "DELETE" if reference.contains(':') => {
            let there = state.manifests.remove(&key(reference)).is_some();
            state.tags.retain(|(place, _), to| place != repository || to != reference);
            answer(if there { 202 } else { 404 })
        }
        "DELETE" => {
            let there = state.tags.remove(&key(reference)).is_some();
            answer(if there { 202 } else { 404 })
        }
        _ => match state.manifests.get(&key(&digest)) {
            // A manifest without a type is listed but gone.
            Some((media_type, _)) if media_type.is_empty() => answer_found(false),
            Some((media_type, bytes)) => answer(200)
                .header("Docker-Content-Digest", digest)
                .header("Content-Type", media_type)
                .body(bytes.clone()),
            None => answer_found(false),
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
    answer(200).header("Content-Type", media_type).body(index.to_string())
}
