// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Publishing to a server that behaves as GitHub's documentation states, with a fault at every call.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::client::Policy;
use release::Source;
use release::channels::Yank;
use serde_json::{Value, json};
use test_support::http::{Answer, Reply, Request, Server, answer, json as answer_json};

use super::*;

const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const REPOSITORY: &str = "owner/name";

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
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

const PASSING: [Failure; 5] =
    [Failure::Dropped, Failure::Lost, Failure::BadGateway, Failure::Secondary, Failure::Primary];

#[derive(Default)]
struct State {
    releases: Vec<Value>,
    /// Release, and the asset with its content.
    assets: Vec<(u64, Value, Vec<u8>)>,
    next: u64,
    /// The release that was made the latest.
    latest: Option<u64>,
    calls: Vec<String>,
    fault: Option<(usize, bool, Failure)>,
    /// Whether assets have digests.
    digests: bool,
    /// What may never happen.
    violations: Vec<String>,
}

#[derive(Clone)]
struct GitHub {
    address: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    fn start() -> Self {
        let state = Arc::new(Mutex::new(State { digests: true, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let body = request.body();
            let mut state = shared.lock().unwrap();
            state.decide(request, &body)
        });
        Self { address: server.address().to_owned(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// This call fails, or it and all later ones.
    fn fail(&self, call: usize, forever: bool, failure: Failure) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = Some((call, forever, failure));
    }

    fn heal(&self) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = None;
    }

    fn publish(&self, release: &Built, attempts: u32) -> Result<Published> {
        publish(&self.api(attempts), &release.manifest, &release.files, "notes")
    }

    fn yank(&self, version: &str, reason: &str, attempts: u32) -> Result<String> {
        let yank = Yank { reason: reason.to_owned(), since: 86400, by: "me@example".to_owned() };
        yank::withdraw(&self.api(attempts), &version.parse().unwrap(), &yank)
    }

    fn api(&self, attempts: u32) -> Api {
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
    fn with_releases() -> Self {
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
    fn notes(&self, tag: &str) -> (String, bool) {
        let state = self.state();
        assert_eq!(state.violations, [] as [&str; 0]);
        let release = state.releases.iter().find(|it| it["tag_name"] == tag).unwrap();
        (release["body"].as_str().unwrap().to_owned(), release["prerelease"] == true)
    }

    fn latest(&self) -> Option<String> {
        self.state().latest().map(|it| it["tag_name"].as_str().unwrap().to_owned())
    }

    /// Names of the assets of the only release, which is published or not.
    fn assets(&self, published: bool) -> Vec<String> {
        let state = self.state();
        assert_eq!(state.violations, [] as [&str; 0]);
        assert_eq!(state.releases.len(), 1, "{:?}", state.releases);
        assert_eq!(state.releases[0]["draft"], !published);
        let mut names: Vec<_> =
            state.assets.iter().map(|it| it.1["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn is_published(&self) -> bool {
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

/// A release of three files.
struct Built {
    manifest: Manifest,
    files: Vec<ReleaseFile>,
    _folder: tempfile::TempDir,
}

const NAMES: [&str; 3] = ["SHA256SUMS", "release.json", "sbom_a.json"];

fn build_release(version: &str, salt: &str) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let source = Source {
        uri: "https://example.org/source".to_owned(),
        commit: COMMIT.to_owned(),
        dirty: false,
    };
    let channel = if version.contains("-rc.") { Channel::Candidate } else { Channel::Stable };
    let manifest = Manifest::new("product".to_owned(), version.to_owned(), channel, source, 0);
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(&path, format!("{name} {salt}")).unwrap();
        let (digest, size) = Digest::sha256_of(File::open(&path).unwrap()).unwrap();
        ReleaseFile { name: name.to_owned(), path, digest, size }
    };
    let files = vec![file("release.json"), file("SHA256SUMS"), file("sbom/a.json")];
    Built { manifest, files, _folder: folder }
}

#[test]
fn a_draft_gets_every_file_is_published_last_and_never_touched_again() {
    for version in ["1.0.0", "1.0.0-rc.1"] {
        let (github, release) = (GitHub::start(), build_release(version, "x"));
        assert_eq!(github.publish(&release, 1).unwrap().uploaded, 3);
        assert_eq!(github.assets(true), NAMES);
        let is_candidate = version.contains("rc");
        {
            let state = github.state();
            let page = &state.releases[0];
            assert_eq!(page["prerelease"], is_candidate);
            assert_eq!(page["make_latest"], if is_candidate { "false" } else { "legacy" });
            assert_eq!(
                (&page["body"], &page["target_commitish"]),
                (&json!("notes"), &json!(COMMIT))
            );
            let last = state.calls.iter().rposition(|it| it.starts_with("POST")).unwrap();
            let publish = state.calls.iter().position(|it| it.starts_with("PATCH")).unwrap();
            assert!(last < publish);
        }
        github.heal();
        assert_eq!(github.publish(&release, 1).unwrap().uploaded, 0);
        assert!(github.state().calls.iter().all(|it| it.starts_with("GET ")));

        let other = build_release(version, "y");
        let error = github.publish(&other, 1).unwrap_err().to_string();
        assert!(error.contains("never replaced") && error.contains("SHA256SUMS"), "{error}");
        assert_eq!(github.assets(true), NAMES);
    }
}

#[test]
fn a_passing_fault_at_any_call_changes_nothing() {
    let release = build_release("1.0.0", "x");
    let calls = {
        let github = GitHub::start();
        github.publish(&release, 1).unwrap();
        github.state().calls.len()
    };
    for failure in PASSING {
        for call in 0..calls {
            let github = GitHub::start();
            github.fail(call, false, failure);
            let what = format!("{failure:?} at call {call} of {calls}");
            github.publish(&release, 3).map_err(|it| format!("{what}: {it:#}")).unwrap();
            assert_eq!(github.assets(true), NAMES, "{what}");
        }
    }
}

#[test]
fn what_stops_at_any_call_is_finished_by_the_next_run() {
    let release = build_release("1.0.0", "x");
    let calls = {
        let github = GitHub::start();
        github.publish(&release, 1).unwrap();
        github.state().calls.len()
    };
    for failure in PASSING.into_iter().chain([Failure::Forbidden]) {
        for call in 0..calls {
            let github = GitHub::start();
            github.fail(call, true, failure);
            let what = format!("{failure:?} from call {call} of {calls}");
            let error = format!("{:#}", github.publish(&release, 2).expect_err(&what));
            if failure == Failure::Forbidden {
                assert!(error.contains("`contents: write`"), "{what}: {error}");
            }
            // The answer to the last call is all that may be lost after it was published.
            assert!(!github.is_published() || failure == Failure::Lost, "{what}");
            github.heal();
            github.publish(&release, 1).map_err(|it| format!("{what}: {it:#}")).unwrap();
            assert_eq!(github.assets(true), NAMES, "{what}");
        }
    }
}

#[test]
fn a_yank_puts_a_notice_before_the_notes_and_moves_the_latest_release() {
    let github = GitHub::with_releases();
    // GitHub would choose what was created last.
    github.state().releases.swap(0, 1);
    github.state().latest = Some(4);
    let done = github.yank("1.1.0", "burns <!-- disks", 1).unwrap();
    assert_eq!(done, "yanked 1.1.0: https://git.example/v1.1.0; the latest release is v1.0.1");
    let notice = "<!-- yanked -->\n> [!CAUTION]\n> Yanked on 1970-01-02 by me@example: burns \
                  &lt;!-- disks.\n> Use [v1.0.1](https://git.example/v1.0.1) instead.\n\n";
    assert_eq!(github.notes("v1.1.0"), (format!("{notice}notes of v1.1.0"), true));
    assert_eq!(github.latest().unwrap(), "v1.0.1");

    github.heal();
    github.yank("1.1.0", "another reason", 1).unwrap();
    assert!(github.state().calls.iter().all(|it| it.starts_with("GET ")));

    // The last stable one: none is the latest.
    github.yank("1.0.0", "x", 1).unwrap();
    assert!(github.notes("v1.0.0").0.contains("Use [v1.0.1]"));
    github.yank("1.0.1", "x", 1).unwrap();
    assert!(!github.notes("v1.0.1").0.contains("instead"));
    assert_eq!(github.latest(), None);

    github.yank("2.0.0-rc.1", "x", 1).unwrap();
    for version in ["3.0.0", "4.0.0"] {
        let error = github.yank(version, "x", 1).unwrap_err().to_string();
        assert_eq!(error, format!("owner/name has no published release v{version}"));
    }
}

#[test]
fn a_yank_is_finished_after_a_fault_at_any_call() {
    let calls = {
        let github = GitHub::with_releases();
        github.yank("1.1.0", "x", 1).unwrap();
        github.state().calls.len()
    };
    assert_eq!(calls, 5);
    for failure in PASSING.into_iter().chain([Failure::Forbidden]) {
        for call in 0..calls {
            let what = format!("{failure:?} at call {call}");
            let github = GitHub::with_releases();
            github.fail(call, true, failure);
            let error = format!("{:#}", github.yank("1.1.0", "x", 2).expect_err(&what));
            assert!(
                failure != Failure::Forbidden || error.contains("`contents: write`"),
                "{error}"
            );
            github.heal();
            if failure != Failure::Forbidden {
                github.fail(call, false, failure);
            }
            github.yank("1.1.0", "x", 2).map_err(|it| format!("{what}: {it:#}")).unwrap();
            let (notes, is_prerelease) = github.notes("v1.1.0");
            assert!(is_prerelease && notes.matches("yanked -->").count() == 1, "{what}: {notes}");
            assert_eq!(github.latest().unwrap(), "v1.0.1", "{what}");
        }
    }
}

#[test]
fn a_server_without_digests_is_asked_for_the_content() {
    let (github, release) = (GitHub::start(), build_release("1.0.0", "x"));
    github.state().digests = false;
    github.publish(&release, 1).unwrap();
    assert_eq!(github.assets(true), NAMES);
    github.state().assets[0].2 = b"another".to_vec();
    assert!(github.publish(&release, 1).unwrap_err().to_string().contains("never replaced"));
}

#[test]
fn other_files_tags_and_tokens_are_refused_before_anything_is_sent() {
    let (github, release) = (GitHub::start(), build_release("1.0.0", "x"));
    github.publish(&release, 1).unwrap();
    {
        let mut state = github.state();
        state.releases[0]["draft"] = true.into();
        state.assets[0].1["name"] = "stranger".into();
    }
    github.heal();
    let error = github.publish(&release, 1).unwrap_err().to_string();
    assert!(error.contains("stranger is not of the release"), "{error}");
    assert!(github.state().calls.iter().all(|it| it.starts_with("GET ")));

    let none = GitHub::start();
    let error = none.publish(&build_release("2.0.0", "x"), 1).unwrap_err().to_string();
    assert!(error.contains("has no tag v2.0.0; push it"), "{error}");
    let mut moved = build_release("1.0.0", "x");
    moved.manifest.source.commit = "another".to_owned();
    assert!(none.publish(&moved, 1).unwrap_err().to_string().contains("leads to"));
    let mut snapshot = build_release("1.0.0", "x");
    snapshot.manifest.channel = Channel::Snapshot;
    assert!(none.publish(&snapshot, 1).unwrap_err().to_string().contains("is a snapshot"));
    let mut twice = build_release("1.0.0", "x");
    twice.files[0].name = "sbom_a.json".to_owned();
    assert!(none.publish(&twice, 1).unwrap_err().to_string().contains("one name"));
    twice.files[0].name = "a b".to_owned();
    assert!(none.publish(&twice, 1).unwrap_err().to_string().contains("would rename"));
    assert!(none.state().releases.is_empty());

    let http = Http::new(&format!("http://{}", none.address), "other", Limits::default()).unwrap();
    let error = publish(&Api::new(http, REPOSITORY), &release.manifest, &release.files, "");
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("Bad credentials") && error.contains("GITHUB_TOKEN"), "{error}");
    assert!(!error.contains("other"), "{error}");
}

#[test]
fn a_wait_that_is_too_long_is_an_error_that_names_it() {
    let retry = Policy { longest_asked: Duration::ZERO, ..Policy::default() };
    let limits = Limits { retry, unnamed: Duration::from_mins(1) };
    let server = Server::start(|_| answer_json(429, &json!({"message": "secondary rate limit"})));
    let http = Http::new(&format!("http://{}", server.address()), "token", limits).unwrap();
    let release = build_release("1.0.0", "x");
    let error = publish(&Api::new(http, REPOSITORY), &release.manifest, &release.files, "");
    assert!(format!("{:#}", error.unwrap_err()).contains("it asks to wait 60 s"));
}

#[test]
fn the_token_goes_to_the_api_alone() {
    let http = |base: &str| Http::new(base, "token", Limits::default());
    for bad in ["http://api.github.com", "ftp://x", "api.github.com", ""] {
        assert!(http(bad).is_err(), "{bad}");
    }
    assert!(Http::new(PUBLIC, "a b", Limits::default()).is_err());
    let public = http(PUBLIC).unwrap();
    assert!(!format!("{public:?}").contains("token"));
    for (url, expected) in [
        ("https://api.github.com/x", true),
        ("https://uploads.github.com/x", true),
        ("http://uploads.github.com/x", false),
        ("https://uploads.github.com.evil/x", false),
        ("https://api.github.com@evil/x", false),
        ("https://evil/api.github.com", false),
    ] {
        assert_eq!(public.may_see_token(url), expected, "{url}");
    }
    let own = http("https://git.example/api/v3").unwrap();
    assert!(own.may_see_token("https://git.example/api/uploads/x"));
    assert!(!own.may_see_token("https://uploads.github.com/x"));
    for (text, valid) in
        [("a/b", true), ("a/b/c", false), ("a", false), ("../b", false), ("a/..", false)]
    {
        assert_eq!(repository(text).is_ok(), valid, "{text}");
    }
}
