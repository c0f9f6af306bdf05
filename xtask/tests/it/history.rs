// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `version` and `notes` over a real history.

use std::process::Command;

use crate::common::Fixture;

/// Commits everything with this message.
fn commit(fixture: &Fixture, message: &str) {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    fixture.git(&["add", "--all"]);
    let args = [&who[..], &["commit", "--quiet", "--allow-empty", "-m", message]].concat();
    fixture.git(&args);
}

#[test]
fn the_version_follows_the_commits_since_the_last_release() {
    let fixture = Fixture::new();
    let first = fixture.xtask(&["version"]);
    assert_eq!(first.code(), 0, "{}", first.err());
    assert!(first.out().contains("last release   none"), "{}", first.out());

    fixture.git(&["tag", "v1.2.3"]);
    commit(&fixture, "docs: nothing that users see");
    assert_eq!(fixture.xtask(&["version"]).code(), 0);
    commit(&fixture, "feat(one)!: rename x");
    let low = fixture.xtask(&["version", "--json"]);
    assert_eq!(low.code(), 1, "{}", low.out());
    let verdict: serde_json::Value = serde_json::from_str(&low.out()).unwrap();
    assert_eq!((&verdict["least"], &verdict["enough"]), (&"2.0.0".into(), &false.into()));
    assert_eq!(verdict["demands"][0]["bump"], "major");
    let text = fixture.xtask(&["version"]).out();
    assert!(text.contains("version 1.2.3 is too low: the commits demand 2.0.0"), "{text}");

    fixture.replace("Cargo.toml", "\"1.2.3\"", "\"2.0.0\"");
    commit(&fixture, "chore: release 2.0.0");
    assert_eq!(fixture.xtask(&["version"]).code(), 0);
}

#[test]
fn notes_are_of_a_range_and_a_shallow_clone_has_none() {
    let fixture = Fixture::new();
    fixture.git(&["tag", "v1.2.3"]);
    commit(&fixture, "fix: close <b>files</b> (#9)");
    fixture.git(&["tag", "v1.2.4-rc.1"]);
    commit(&fixture, "feat: add `x`\n\nBREAKING CHANGE: use y");
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
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["range"]["changes"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(fixture.xtask(&["notes", "v9.9.9"]).code(), 1);
    assert_eq!(fixture.xtask(&["notes", "--output=x"]).code(), 2);

    let clone = tempfile::tempdir().unwrap();
    let from = format!("file://{}", fixture.root().display());
    let into = clone.path().join("clone");
    let status = Command::new("git")
        .args(["clone", "--quiet", "--depth", "1", "--no-tags", &from])
        .arg(&into)
        .status();
    assert!(status.unwrap().success());
    let mut shallow = fixture.command(&["notes"]);
    let answer = shallow.current_dir(&into).output().unwrap();
    assert_eq!(answer.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&answer.stderr).contains("fix: git fetch --unshallow"));
}
