// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Publishing to a server that behaves as GitHub's documentation states, with a fault at every call.

mod server;

use std::path::Path;
use std::time::Duration;

use oci::client::Policy;
use release::Source;
use release::channels::Yank;
use serde_json::json;
use test_support::http::{Server, json as answer_json};

use self::server::{Failure, GitHub};
use super::*;

const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const REPOSITORY: &str = "owner/name";

const PASSING: [Failure; 5] =
    [Failure::Dropped, Failure::Lost, Failure::BadGateway, Failure::Secondary, Failure::Primary];

impl GitHub {
    fn publish(&self, release: &Built, attempts: u32) -> Result<Published> {
        publish(&self.api(attempts), &release.manifest, &release.files, "notes")
    }

    fn yank(&self, version: &str, reason: &str, attempts: u32) -> Result<String> {
        let yank = Yank { reason: reason.to_owned(), since: 86400, by: "me@example".to_owned() };
        yank::withdraw(&self.api(attempts), &version.parse().unwrap(), &yank)
    }
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
