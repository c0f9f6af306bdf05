// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `version`, `version bump` and `notes` over real histories.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Answer, Fixture, need};

const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n### Added\n\n- by hand\n";

/// A fixture with an identity for Git, and a changelog.
fn repository() -> Fixture {
    let fixture = Fixture::new();
    fixture.git(&["config", "user.name", "Test"]);
    fixture.git(&["config", "user.email", "test@example.org"]);
    fixture.write("CHANGELOG.md", CHANGELOG);
    fixture.commit_as("docs: add a changelog");
    fixture
}

fn release(fixture: &Fixture, tag: &str) {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    let args = [&who[..], &["tag", "--force", "--annotate", "--message", tag, tag]].concat();
    fixture.git(&args);
}

/// Output of Git.
fn ask(fixture: &Fixture, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(fixture.root()).output().unwrap();
    assert!(output.status.success(), "git {args:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A clone of depth 1 without tags.
fn shallow_clone(fixture: &Fixture, folder: &Path) -> PathBuf {
    let from = format!("file://{}", fixture.root().display());
    let into = folder.join("clone");
    let args = ["clone", "--quiet", "--depth", "1", "--no-tags", &from];
    let status = Command::new("git").args(args).arg(&into).status();
    assert!(status.unwrap().success());
    into
}

/// `text` with `COMMIT` for ids of commits in parentheses.
fn without_ids(text: &str) -> String {
    let mut parts = text.split('(');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let id = part
            .split_once(')')
            .filter(|(id, _)| id.len() == 10 && id.bytes().all(|c| c.is_ascii_hexdigit()));
        out.push('(');
        out.push_str(&id.map_or(part.to_owned(), |(_, rest)| format!("COMMIT){rest}")));
    }
    out
}

#[track_caller]
fn expect_refusal(answer: &Answer, code: i32, parts: &[&str]) {
    assert_eq!(answer.code(), code, "{}{}", answer.out(), answer.err());
    for part in parts {
        assert!(answer.err().contains(part), "{part}: {}", answer.err());
    }
}

#[test]
fn the_version_follows_the_commits_since_the_last_release() {
    let fixture = Fixture::new();
    let first = fixture.xtask(&["version"]);
    assert_eq!(first.code(), 0, "{}", first.err());
    assert!(first.out().contains("last release   none"), "{}", first.out());

    fixture.git(&["tag", "v1.2.3"]);
    fixture.commit_as("docs: nothing that users see");
    assert_eq!(fixture.xtask(&["version"]).code(), 0);
    fixture.commit_as("feat(one)!: rename x");
    let low = fixture.xtask(&["version", "--json"]);
    assert_eq!(low.code(), 1, "{}", low.out());
    let verdict: Value = serde_json::from_str(&low.out()).unwrap();
    assert_eq!((&verdict["least"], &verdict["enough"]), (&"2.0.0".into(), &false.into()));
    assert_eq!(verdict["bumps"][0]["bump"], "major");
    let text = fixture.xtask(&["version"]).out();
    assert!(text.contains("version 1.2.3 is too low: the changes require 2.0.0"), "{text}");
    assert!(text.contains("fix: cargo xtask version bump"), "{text}");
    // A release is refused before any step, with the commit that requires more.
    release(&fixture, "v1.2.3-rc.1");
    let refusal = fixture.xtask(&["release", "--dry-run"]);
    expect_refusal(
        &refusal,
        2,
        &["version 1.2.3 is too low", "the changes require 2.0.0", "rename x"],
    );
    fixture.git(&["tag", "--delete", "v1.2.3-rc.1"]);

    fixture.replace("Cargo.toml", "\"1.2.3\"", "\"2.0.0\"");
    fixture.commit_as("chore: release 2.0.0");
    assert_eq!(fixture.xtask(&["version"]).code(), 0);
    fixture.git(&["tag", "v2.0.0"]);
    let fix = "v2.0.0 is a lightweight tag";
    expect_refusal(&fixture.xtask(&["release", "--dry-run"]), 2, &[fix, "fix: git tag --force"]);
    let version = fixture.xtask(&["version"]);
    assert!(version.code() == 1 && version.out().contains(fix), "{}", version.out());
}

#[test]
fn a_release_is_refused_with_the_path_in_the_schema_or_api_that_demands_more() {
    let fixture = Fixture::new();
    fixture.append(
        "release.toml",
        "[gates.schema]\nfolder = \"schemas\"\nrecipes = \"recipes\"\napi = \"api.json\"\n",
    );
    fixture.write("schemas/recipe-1.0.schema.json", "{\"properties\": {\"a\": {}}}");
    fixture.write("api.json", "{\"paths\": {\"/x\": {\"get\": {}}}}");
    fixture.commit_as("build: add a schema");
    release(&fixture, "v1.2.3");
    fixture
        .write("schemas/recipe-1.1.schema.json", "{\"properties\": {\"a\": {\"maxLength\": 4}}}");
    fixture.replace("Cargo.toml", "\"1.2.3\"", "\"1.2.4\"");
    fixture.commit_as("fix: limit a");
    release(&fixture, "v1.2.4");
    let refusal = fixture.xtask(&["release", "--dry-run"]);
    let place = "the changes require 2.0.0 (recipe schema: /properties/a/maxLength: `a`: maxLength `4` added)";
    expect_refusal(&refusal, 2, &[place]);

    fixture.git(&["rm", "--quiet", "schemas/recipe-1.1.schema.json"]);
    fixture.write("api.json", "{\"paths\": {\"/x\": {\"get\": {}, \"put\": {}}}}");
    fixture.commit_as("fix: add an operation");
    release(&fixture, "v1.2.4");
    let refusal = fixture.xtask(&["release", "--dry-run"]);
    expect_refusal(
        &refusal,
        2,
        &["the changes require 1.3.0 (HTTP API: /paths/~1x/put operation added)"],
    );
}

#[test]
fn candidates_lead_to_a_release_of_the_same_commit() {
    let fixture = repository();
    release(&fixture, "v1.2.3");
    fixture.commit_as("feat(one): add x (#4)");
    let head = ask(&fixture, &["rev-parse", "HEAD"]);
    let dry = fixture.xtask(&["version", "bump", "--pre", "rc", "--dry-run"]);
    assert_eq!(dry.code(), 0, "{}", dry.err());
    insta::assert_snapshot!("bump", without_ids(&dry.out()).replace(&head[..10], "COMMIT"));
    assert_eq!(ask(&fixture, &["status", "--porcelain"]), "");
    assert_eq!(ask(&fixture, &["rev-parse", "HEAD"]), head);

    let bump = |args: &[&str]| {
        let answer = fixture.xtask(&[&["version", "bump"], args].concat());
        assert_eq!(answer.code(), 0, "{}", answer.err());
        assert_eq!(ask(&fixture, &["status", "--porcelain"]), "");
        ask(&fixture, &["describe", "--exact-match"])
    };
    assert_eq!(bump(&["--pre", "rc"]), "v1.3.0-rc.1");
    assert_eq!(ask(&fixture, &["log", "-1", "--format=%s"]), "chore(release): v1.3.0-rc.1");
    assert_eq!(ask(&fixture, &["cat-file", "-t", "v1.3.0-rc.1"]), "tag");
    for path in ["Cargo.toml", "Cargo.lock"] {
        assert!(ask(&fixture, &["show", &format!("HEAD:{path}")]).contains("version = \"1.3.0\""));
    }
    expect_refusal(
        &fixture.xtask(&["version", "bump", "--pre", "rc"]),
        1,
        &["is the candidate v1.3.0-rc.1"],
    );

    fixture.commit_as("fix(one): close y");
    assert_eq!(bump(&["--pre", "rc"]), "v1.3.0-rc.2");
    let candidate = ask(&fixture, &["rev-parse", "HEAD"]);
    let changelog = ask(&fixture, &["show", "HEAD:CHANGELOG.md"]);
    insta::assert_snapshot!("changelog", without_ids(&changelog));
    fixture.xtask(&["version", "bump"]);
    assert_eq!(ask(&fixture, &["rev-parse", "v1.3.0^{commit}"]), candidate);
    // All of it is a release of Cargo's, too.
    let locked = Command::new("cargo")
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .current_dir(fixture.root())
        .output()
        .unwrap();
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    assert_eq!(fixture.xtask(&["version"]).code(), 0);
    expect_refusal(&fixture.xtask(&["version", "bump"]), 1, &["the tag v1.3.0 exists", "fix: "]);

    // A breaking change raises the version of the next candidate.
    fixture.commit_as("fix!: drop y\n\nBREAKING CHANGE: use z");
    assert_eq!(bump(&["--pre", "rc"]), "v2.0.0-rc.1");
}

#[test]
fn a_bump_needs_a_clean_tree_and_the_whole_history() {
    let fixture = repository();
    fixture.write("new", "");
    let dirty = fixture.xtask(&["version", "bump"]);
    expect_refusal(&dirty, 1, &["the work tree differs from commit", "fix: commit or remove"]);
    std::fs::remove_file(fixture.root().join("new")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let clone = shallow_clone(&fixture, folder.path());
    let mut shallow = fixture.command(&["version", "bump"]);
    let answer = Answer(shallow.current_dir(&clone).output().unwrap());
    expect_refusal(&answer, 3, &["the clone is shallow", "fix: git fetch --unshallow --tags"]);

    // What Git refuses leaves nothing behind.
    fixture.git(&["config", "core.hooksPath", ".hooks"]);
    fixture.write(".hooks/pre-commit", "#!/bin/sh\nexit 1\n");
    fixture.git(&["add", "--all"]);
    fixture.git(&["update-index", "--chmod=+x", ".hooks/pre-commit"]);
    fixture.git(&["commit", "--quiet", "--no-verify", "--message", "feat: add a hook"]);
    fixture.git(&["checkout", "--quiet", "--", ".hooks"]);
    let refusal = fixture.xtask(&["version", "bump"]);
    expect_refusal(&refusal, 1, &["cannot commit"]);
    assert_eq!(ask(&fixture, &["status", "--porcelain"]), "");
    assert_eq!(ask(&fixture, &["tag"]), "");
}

#[test]
fn a_tag_is_signed_when_asked() {
    need!(&["ssh-keygen"]);
    let fixture = repository();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let generate = ["-q", "-t", "ed25519", "-N", "", "-C", "test@example.org", "-f"];
    assert!(Command::new("ssh-keygen").args(generate).arg(&key).status().unwrap().success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = folder.path().join("signers");
    std::fs::write(&signers, format!("test@example.org {public}")).unwrap();
    let set = |name: &str, value: &str| fixture.git(&["config", name, value]);
    set("gpg.format", "ssh");
    set("user.signingkey", key.to_str().unwrap());
    set("gpg.ssh.allowedSignersFile", signers.to_str().unwrap());
    assert_eq!(fixture.xtask(&["version", "bump", "--pre", "rc", "--sign"]).code(), 0);
    ask(&fixture, &["verify-tag", "v1.2.3-rc.1"]);
    // Git's own configuration is enough.
    set("tag.gpgSign", "true");
    assert_eq!(fixture.xtask(&["version", "bump"]).code(), 0);
    ask(&fixture, &["verify-tag", "v1.2.3"]);
}

/// A history with everything that commits of different tools and people look like.
fn history() -> Fixture {
    let fixture = repository();
    release(&fixture, "v1.2.0");
    fixture.git(&["branch", "line-1.2"]);
    fixture.commit_as(
        "feat: improve the API (#21)\n\n* feat(api): add one\n\nReviewed-by: Z\nRefs: #3\n\n\
         * fix(api): close two\n\nBREAKING CHANGE: a footer of the second\nUpgrade: run `x`",
    );
    let quoted = "fix: quote a footer\n\nThe parser took\n\n    BREAKING CHANGE: indented\n\n\
                  > BREAKING CHANGE: quoted\n\nfor one.";
    fixture.commit_as(quoted);
    fixture.commit_as(" feat!: start with a space\n\nBREAKING CHANGE: remove the space");
    fixture.commit_as("fix: don't show `code`, <b>HTML</b> & 'quotes' as markup 🎉");
    fixture.write("reverted", "");
    fixture.commit_as("feat: add what is reverted");
    fixture.git(&["revert", "--no-edit", "HEAD"]);
    fixture.write("picked", "");
    fixture.commit_as("fix: pick me");
    let picked = ask(&fixture, &["rev-parse", "HEAD"]);
    fixture.git(&["checkout", "--quiet", "-b", "main-line"]);
    fixture.git(&["checkout", "--quiet", "line-1.2"]);
    fixture.git(&["cherry-pick", "-x", &picked]);
    release(&fixture, "v1.2.1");
    fixture.git(&["checkout", "--quiet", "-"]);
    for (branch, message) in [
        ("topic", "Merge branch 'topic'"),
        ("request", "Merge pull request #30 from a/request\n\nTitle of the request"),
    ] {
        fixture.git(&["checkout", "--quiet", "-b", branch]);
        // The same address in another case.
        let address = if branch == "topic" { "ann@example.org" } else { "Ann@Example.org" };
        let author = format!("--author=Ann {branch} <{address}>");
        let work = format!("fix: work on a {branch}");
        fixture.git(&["commit", "--quiet", "--allow-empty", &author, "-m", &work]);
        fixture.git(&["checkout", "--quiet", "main-line"]);
        fixture.git(&["merge", "--quiet", "--no-ff", "-m", message, branch]);
    }
    fixture
}

#[test]
fn notes_of_a_mixed_history_are_as_recorded() {
    let fixture = history();
    release(&fixture, "v2.0.0");
    let notes = |range: &str| {
        let notes = fixture.xtask(&["notes", range]);
        assert_eq!(notes.code(), 0, "{}", notes.err());
        without_ids(&notes.out())
    };
    insta::assert_snapshot!("notes", notes("v2.0.0"));
    // A line has its own copy of the commit.
    assert_eq!(
        notes("v1.2.1"),
        "# A thing 1.2.1\n\nChanges since 1.2.0.\n\n## Fixes\n\n- pick me (COMMIT)\n\n\
         ## Contributors\n\n- Test\n"
    );
    // A merge of the line repeats nothing, and the last release stays the highest.
    fixture.git(&["merge", "--quiet", "-m", "Merge branch 'line-1.2'", "line-1.2"]);
    assert!(notes("HEAD").contains("Changes since 2.0.0."));
    assert_eq!(notes("v1.2.0..HEAD").matches("pick me").count(), 1);
    assert!(notes("v2.0.0..v2.0.0").ends_with("Changes since 2.0.0.\nNo changes.\n"));
    for range in ["v9.0.0", "v9.0.0..HEAD", "v1.2.0..v9.0.0"] {
        let notes = fixture.xtask(&["notes", range]);
        let expected =
            "error: \"v9.0.0\" is not a tag or commit of this clone\nfix: git fetch --tags";
        assert_eq!(notes.code(), 1, "{range}");
        assert!(notes.err().starts_with(expected), "{range}: {}", notes.err());
    }
}

/// Two commits on each of two branches, both merged, with these seconds as the dates of the four.
fn two_branches(seconds: [u32; 4]) -> Fixture {
    let fixture = repository();
    let work = |branch: &str, seconds: &[u32]| {
        fixture.git(&["checkout", "--quiet", "-b", branch, "HEAD"]);
        for (index, second) in seconds.iter().enumerate() {
            let message = format!("fix: work {index} of {branch}");
            let status = Command::new("git")
                .args(["commit", "--quiet", "--allow-empty", "-m", &message])
                .env("GIT_COMMITTER_DATE", format!("2001-01-01T00:00:{second:02}Z"))
                .current_dir(fixture.root())
                .status();
            assert!(status.unwrap().success());
        }
    };
    work("one", &seconds[..2]);
    fixture.git(&["checkout", "--quiet", "-b", "base", "HEAD~2"]);
    work("two", &seconds[2..]);
    fixture.git(&["checkout", "--quiet", "base"]);
    for branch in ["one", "two"] {
        fixture.git(&["merge", "--quiet", "--no-ff", "-m", "Merge a branch", branch]);
    }
    fixture
}

#[test]
fn notes_do_not_depend_on_the_dates_of_merged_commits() {
    let notes = |seconds| {
        let notes = two_branches(seconds).xtask(&["notes", "HEAD"]).out();
        // The heading has the id of the commit.
        without_ids(notes.split_once('\n').unwrap().1)
    };
    let apart = notes([10, 11, 20, 21]);
    assert!(apart.contains("work 1 of two (COMMIT)\n- work 0 of two (COMMIT)"), "{apart}");
    assert_eq!(apart, notes([10, 20, 11, 21]));
    assert_eq!(apart, notes([20, 21, 10, 11]));
}

#[test]
fn notes_of_a_built_release_have_its_artifacts_and_advisories() {
    let fixture = repository();
    release(&fixture, "v1.2.3");
    fixture.commit_as("fix: update bad");
    release(&fixture, "v1.2.4");
    let component = |name: &str, version: &str| json!({"name": name, "version": version, "purl": format!("pkg:cargo/{name}@{version}")});
    let sbom = |release: &str, components: &[Value]| {
        let document = json!({"components": components}).to_string();
        fixture.write(&format!("target/dist/{release}/sbom/one.cdx.json"), &document);
    };
    sbom("1.2.3", &[component("bad", "1.0.0"), component("worse", "1.0.0")]);
    let mut tool = component("tool", "1.0.0");
    tool["scope"] = "excluded".into();
    sbom("1.2.4", &[component("bad", "1.1.0"), component("worse", "1.0.0"), tool]);
    for name in ["bad", "worse", "tool"] {
        let advisory = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-{name}\"\npackage = \"{name}\"\n\
             date = \"2026-01-01\"\n[versions]\npatched = [\">= 1.1.0\"]\n```\n\n# It *breaks*\n"
        );
        fixture.write(&format!("target/xtask/advisory-db/crates/{name}/{name}.md"), &advisory);
    }
    let manifest = |commit: &str| {
        let manifest = json!({
            "schema": "provisioner/release/v1", "product": "thing", "version": "1.2.4",
            "channel": "stable", "source": {"uri": "x", "commit": commit, "dirty": false},
            "epoch": 0, "materials": [], "engines": {}, "images": [],
            "artifacts": [{"path": "one", "kind": "binary", "size": 1, "sha256": "0".repeat(64)}],
        });
        fixture.write("target/dist/1.2.4/release.json", &manifest.to_string());
    };
    manifest(&ask(&fixture, &["rev-parse", "HEAD"]));
    let page = fixture.xtask(&["notes", "v1.2.4"]);
    assert_eq!(page.code(), 0, "{}", page.err());
    insta::assert_snapshot!("built", without_ids(&page.out()));
    // A folder of another commit is no evidence.
    manifest(&"0".repeat(40));
    let page = fixture.xtask(&["notes", "v1.2.4"]).out();
    assert!(!page.contains("## Artifacts") && !page.contains("RUSTSEC"), "{page}");
}

/// [git-cliff](https://git-cliff.org) reads the same commits. It does not split squashed ones and
/// shows reverted ones, so only the version and plain commits are compared.
#[test]
fn git_cliff_demands_the_same_version() {
    need!(&["git-cliff"]);
    let fixture = repository();
    release(&fixture, "v1.2.0");
    fixture
        .write("cliff.toml", "[git]\nconventional_commits = true\nfilter_unconventional = true\n");
    for (message, version) in [
        ("fix: a", "1.2.1"),
        ("feat(x): b", "1.3.0"),
        ("fix: c\n\n> BREAKING CHANGE: quoted", "1.3.0"),
        ("fix: d\n\nBREAKING CHANGE: e", "2.0.0"),
    ] {
        fixture.commit_as(message);
        let theirs = Command::new("git-cliff")
            .args(["--config", "cliff.toml", "--bumped-version"])
            .current_dir(fixture.root())
            .env("PATH", crate::common::path())
            .output()
            .unwrap();
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        assert_eq!(theirs.trim().trim_start_matches('v'), version, "{message}");
        let ours: Value =
            serde_json::from_str(&fixture.xtask(&["version", "--json"]).out()).unwrap();
        // The workspace of the fixture has 1.2.3 already.
        assert_eq!(ours["least"], json!(version), "{message}");
    }
}

#[test]
fn notes_are_of_a_range_and_a_shallow_clone_has_none() {
    let fixture = Fixture::new();
    fixture.git(&["tag", "v1.2.3"]);
    fixture.commit_as("fix: close <b>files</b> (#9)");
    fixture.git(&["tag", "v1.2.4-rc.1"]);
    fixture.commit_as("feat: add `x`\n\nBREAKING CHANGE: use y");
    fixture.git(&["tag", "v1.2.4"]);

    let notes = fixture.xtask(&["notes", "v1.2.4"]);
    assert_eq!(notes.code(), 0, "{}", notes.err());
    let page = notes.out();
    // Compared with the last stable release, not with the release's own candidate.
    assert!(page.contains("Changes since 1.2.3."), "{page}");
    for part in ["## Breaking changes", "use y", "close &lt;b>files&lt;/b> #9", "## Pull requests"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let json = fixture.xtask(&["notes", "v1.2.3..v1.2.4-rc.1", "--json"]).out();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["range"]["changes"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(fixture.xtask(&["notes", "v9.9.9"]).code(), 1);
    assert_eq!(fixture.xtask(&["notes", "--output=x"]).code(), 2);

    let folder = tempfile::tempdir().unwrap();
    let into = shallow_clone(&fixture, folder.path());
    let mut shallow = fixture.command(&["notes"]);
    let answer = shallow.current_dir(&into).output().unwrap();
    assert_eq!(answer.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&answer.stderr).contains("fix: git fetch --unshallow"));
}
