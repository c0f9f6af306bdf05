// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A server that behaves as GitHub's documentation of its REST API states, with faults.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::client::Policy;
use serde_json::{Value, json};
use test_support::http::{Answer, Reply, Request, Server, answer, json as answer_json};

use super::super::*;
use super::{COMMIT, REPOSITORY};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is closed in place of an answer.
    Dropped,
    /// The call does its work, and the connection is closed in place of the answer.
    Lost,
    /// 502; an upload leaves an empty asset in the state `starter`.
    BadGateway,
    /// A secondary rate limit with `retry-after`.
    Secondary,
    /// The primary rate limit, which has just been reset.
    Primary,
    /// The token lacks the permission.
    Forbidden,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) releases: Vec<Value>,
    /// Release, and the asset with its content.
    pub(super) assets: Vec<(u64, Value, Vec<u8>)>,
    next: u64,
    /// The release that was made the latest.
    pub(super) latest: Option<u64>,
    pub(super) calls: Vec<String>,
    pub(super) fault: Option<(usize, bool, Failure)>,
    /// Whether assets have digests.
    pub(super) digests: bool,
    /// What may never happen.
    violations: Vec<String>,
}

#[derive(Clone)]
pub(super) struct GitHub {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    pub(super) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { digests: true, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let body = request.body();
            let mut state = shared.lock().unwrap();
            state.decide(request, &body)
        });
        Self { address: server.address().to_owned(), state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// This call fails, or it and all later ones.
    pub(super) fn fail(&self, call: usize, forever: bool, failure: Failure) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = Some((call, forever, failure));
    }

    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = None;
    }

    pub(super) fn api(&self, attempts: u32) -> Api {
        let limits = Limits {
            retry: Policy {
                attempts,
                first: Duration::from_micros(200),
                longest_asked: Duration::from_secs(5),
                ..Policy::default()
            },
            unnamed: Duration::ZERO,
        };
        let http = Http::new(&format!("http://{}", self.address), "token", limits).unwrap();
        Api::new(http, REPOSITORY)
    }

    /// A repository with published releases, and a draft.
    pub(super) fn with_releases() -> Self {
        let github = Self::start();
        let tags = ["v1.0.0", "v1.0.1", "v2.0.0-rc.1", "v1.1.0", "other", "v3.0.0"];
        for (number, tag) in (1..).zip(tags) {
            let url = format!("http://{}/releases/{number}", github.address);
            github.state().releases.push(json!({
                "id": number, "tag_name": tag, "body": format!("notes of {tag}"),
                "draft": tag == "v3.0.0", "prerelease": tag.contains("rc") || tag == "other",
                "upload_url": url, "html_url": format!("https://git.example/{tag}"),
            }));
        }
        github
    }

    /// Notes of the release, and whether it is a pre-release.
    pub(super) fn notes(&self, tag: &str) -> (String, bool) {
        let state = self.state();
        assert_eq!(state.violations, [] as [&str; 0]);
        let release = state.releases.iter().find(|it| it["tag_name"] == tag).unwrap();
        (release["body"].as_str().unwrap().to_owned(), release["prerelease"] == true)
    }

    pub(super) fn latest(&self) -> Option<String> {
        self.state().latest().map(|it| it["tag_name"].as_str().unwrap().to_owned())
    }

    /// Names of the assets of the only release, which is published or not.
    pub(super) fn assets(&self, published: bool) -> Vec<String> {
        let state = self.state();
        assert_eq!(state.violations, [] as [&str; 0]);
        assert_eq!(state.releases.len(), 1, "{:?}", state.releases);
        assert_eq!(state.releases[0]["draft"], !published);
        let mut names: Vec<_> =
            state.assets.iter().map(|it| it.1["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn is_published(&self) -> bool {
        self.state().releases.iter().any(|it| it["draft"] == false)
    }
}

impl State {
    fn decide(&mut self, request: &Request<'_>, body: &[u8]) -> Reply {
        let number = self.calls.len();
        self.calls.push(format!("{} {}", request.method, request.target));
        if request.header("authorization") != Some("Bearer token") {
            return answer_json(401, &json!({"message": "Bad credentials"})).into();
        }
        let failure =
            self.fault.filter(|(call, forever, _)| number == *call || *forever && number >= *call);
        let Some((_, _, failure)) = failure else {
            return self.respond(request, body).into();
        };
        match failure {
            Failure::Dropped => Reply::Close,
            Failure::Lost => {
                drop(self.respond(request, body));
                Reply::Close
            }
            Failure::BadGateway => {
                if request.method == "POST" && request.path().ends_with("/assets") {
                    let id = id(request.path(), "releases");
                    self.add(id, request, b"", "starter");
                }
                answer(502).into()
            }
            Failure::Secondary => {
                answer_json(403, &json!({"message": "You have exceeded a secondary rate limit."}))
                    .header("retry-after", "0")
                    .into()
            }
            Failure::Primary => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                answer_json(403, &json!({"message": "API rate limit exceeded"}))
                    .header("x-ratelimit-remaining", "0")
                    .header("x-ratelimit-reset", now.to_string())
                    .into()
            }
            Failure::Forbidden => answer_json(
                403,
                &json!({"message": "Resource not accessible by personal access token"}),
            )
            .into(),
        }
    }

    fn respond(&mut self, request: &Request<'_>, body: &[u8]) -> Answer {
        let path = request.path().strip_prefix("/repos/owner/name/").unwrap_or_default();
        let host = request.header("host").unwrap_or_default().to_owned();
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["git", "ref", "tags", "v1.0.0" | "v1.0.0-rc.1"]) => {
                answer_json(200, &json!({"object": {"type": "tag", "sha": "abcd"}}))
            }
            ("GET", ["git", "tags", "abcd"]) => {
                answer_json(200, &json!({"object": {"type": "commit", "sha": COMMIT}}))
            }
            ("GET", ["releases", "latest"]) => match self.latest() {
                Some(release) => answer_json(200, release),
                None => answer_json(404, &json!({"message": "Not Found"})),
            },
            ("GET", ["releases"]) => page(request, self.releases.clone()),
            ("POST", ["releases"]) => {
                self.next += 1;
                let mut release = document;
                release["id"] = self.next.into();
                let url = format!("http://{host}/repos/owner/name/releases/{}", self.next);
                release["upload_url"] = format!("{url}/assets{{?name,label}}").into();
                release["html_url"] = url.into();
                self.releases.push(release.clone());
                answer_json(201, &release)
            }
            ("PATCH", ["releases", number]) => {
                let number: u64 = number.parse().unwrap();
                if self.is_public(number) {
                    return self.edit(number, &document);
                }
                let is_whole = self
                    .assets
                    .iter()
                    .filter(|it| it.0 == number)
                    .all(|it| it.1["state"] == UPLOADED);
                let count = self.assets.iter().filter(|it| it.0 == number).count();
                if !is_whole || count != 3 {
                    self.violations.push(format!("published with {count} assets"));
                }
                let release = self.releases.iter_mut().find(|it| it["id"] == number).unwrap();
                for (name, value) in document.as_object().unwrap() {
                    release[name] = value.clone();
                }
                answer_json(200, release)
            }
            ("GET", ["releases", number, "assets"]) => {
                let number: u64 = number.parse().unwrap();
                let assets = self.assets.iter().filter(|it| it.0 == number);
                page(request, assets.map(|it| it.1.clone()).collect())
            }
            ("POST", ["releases", number, "assets"]) => {
                self.add(number.parse().unwrap(), request, body, UPLOADED)
            }
            ("GET", ["releases", "assets", number]) => {
                let asset =
                    self.assets.iter().find(|it| it.1["id"].as_u64() == number.parse().ok());
                answer(200).body(asset.unwrap().2.clone())
            }
            ("DELETE", ["releases", "assets", number]) => {
                let place = self
                    .assets
                    .iter()
                    .position(|it| it.1["id"].as_u64() == number.parse().ok())
                    .unwrap();
                let (release, asset, _) = self.assets.remove(place);
                if asset["state"] == UPLOADED || self.is_public(release) {
                    self.violations.push(format!("deleted {asset}"));
                }
                answer(204)
            }
            _ => answer_json(404, &json!({"message": "Not Found"})),
        }
    }

    /// Changes a published release, which is immutable but for these.
    fn edit(&mut self, number: u64, document: &Value) -> Answer {
        let release = self.releases.iter_mut().find(|it| it["id"] == number).unwrap();
        for (name, value) in document.as_object().unwrap() {
            match name.as_str() {
                "body" | "prerelease" => release[name] = value.clone(),
                "make_latest" => {}
                // The answer to its publication got lost.
                "draft" if value == false => {}
                _ => self.violations.push(format!("changed {name} of what is published")),
            }
        }
        let answer = answer_json(200, release);
        match (document["make_latest"].as_str(), release["prerelease"] == true) {
            (Some("true"), true) => {
                return answer_json(422, &json!({"message": "Validation Failed"}));
            }
            (Some("true"), false) => self.latest = Some(number),
            _ if self.latest == Some(number) => self.latest = None,
            _ => {}
        }
        answer
    }

    /// The release that was made the latest, else the one that was created last.
    fn latest(&self) -> Option<&Value> {
        let mut full =
            self.releases.iter().filter(|it| it["draft"] == false && it["prerelease"] == false);
        let chosen = full.clone().find(|it| it["id"].as_u64() == self.latest);
        chosen.or_else(|| full.next_back())
    }

    fn is_public(&self, release: u64) -> bool {
        self.releases.iter().any(|it| it["id"] == release && it["draft"] == false)
    }

    fn add(&mut self, release: u64, request: &Request<'_>, body: &[u8], state: &str) -> Answer {
        let name = request.query()["name"].clone();
        let refusal = |code: &str| {
            let errors = json!([{"resource": "ReleaseAsset", "code": code, "field": "name"}]);
            answer_json(422, &json!({"message": "Validation Failed", "errors": errors}))
        };
        if self.is_public(release) {
            self.violations.push(format!("uploaded {name} to what is published"));
            return refusal("custom");
        }
        if self.assets.iter().any(|it| it.0 == release && it.1["name"] == name.as_str()) {
            return refusal("already_exists");
        }
        self.next += 1;
        let host = request.header("host").unwrap_or_default();
        let asset = json!({
            "id": self.next,
            "name": name,
            "state": state,
            "size": body.len(),
            "digest": self.digests.then(|| Digest::sha256(body).to_string()),
            "url": format!("http://{host}/repos/owner/name/releases/assets/{}", self.next),
        });
        self.assets.push((release, asset.clone(), body.to_vec()));
        answer_json(201, &asset)
    }
}

/// A page of `all`, by the query of `request`.
fn page(request: &Request<'_>, all: Vec<Value>) -> Answer {
    let query = request.query();
    let number = |name: &str| query[name].parse::<usize>().unwrap();
    let (size, page) = (number("per_page"), number("page"));
    let page: Vec<Value> = all.into_iter().skip(size * (page - 1)).take(size).collect();
    answer_json(200, &json!(page))
}

/// The number after `/NAME/` in a path.
fn id(path: &str, name: &str) -> u64 {
    let rest = path.split_once(&format!("/{name}/")).unwrap().1;
    rest.split('/').next().unwrap().parse().unwrap()
}
