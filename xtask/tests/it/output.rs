// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Output of a run: progress on standard error, results on standard output.

use std::process::Command;

use serde_json::Value;

use crate::common::{Answer, Fixture, need};

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.write_build_info();
    let main = crate::merge::MAIN.replace("PATH", "build_info.rs");
    fixture.write_with_header("one/src/main.rs", &main);
    fixture.append("release.toml", "\n[engines]\nsbom = \"native\"\n");
    fixture.commit();
    fixture
}

#[test]
fn a_pipeline_shows_what_starts_and_ends_with_what_it_made() {
    need!(&["cargo", "git", "sha256sum"]);
    let fixture = fixture();
    let target = format!("--target={}", std::env::consts::ARCH);
    let answer = fixture.xtask(&["dist", &target, "--json"]);
    assert_eq!(answer.code(), 0, "{}{}", answer.out(), answer.err());
    // Standard output is JSON only.
    let report: Value = serde_json::from_str(&answer.out()).unwrap();
    let version = report["version"].as_str().unwrap();
    let made = report["results"]["made"].as_array().unwrap();
    let dist = format!("target/dist/{version}");
    let what = |path: &str| {
        made.iter().find(|it| it["path"] == path).unwrap_or_else(|| panic!("{path}: {made:?}"))
            ["what"]
            .to_string()
    };
    assert!(what(&format!("{dist}/sbom")).contains("SBOM"));
    assert!(what(&format!("{dist}/release.json")).contains("manifest"));
    assert!(what("target/xtask").contains("junit.xml"));
    // In a pipe, each step has a line when it starts and one when it ends.
    let (err, mut from) = (answer.err(), 0);
    for line in ["     Running build\n", "    Finished build", "     Running package\n"] {
        from += err[from..].find(line).unwrap_or_else(|| panic!("{line:?} in {err}"));
    }
    assert!(!err.contains('\u{1b}') && !err.contains('\r'), "{err:?}");

    let answer = fixture.xtask(&["dist", &target]);
    let text = answer.out();
    assert!(text.contains("\nResults:\n") && text.contains(&dist), "{text}");
    // The printed verify command works.
    let command = text.split("\nVerify:\n").nth(1).unwrap().trim();
    let checked = Command::new("sh").args(["-c", command]).current_dir(fixture.root()).output();
    let checked = Answer(checked.unwrap());
    assert!(checked.code() == 0 && checked.out().contains(": OK"), "{command}: {}", checked.err());
}

#[test]
fn a_failed_pipeline_ends_with_its_reports_and_no_release() {
    let fixture = fixture();
    fixture.append("one/src/main.rs", "fn broken( {\n");
    let answer = fixture.xtask(&["dist"]);
    assert_eq!(answer.code(), 1, "{}", answer.err());
    let text = answer.out();
    assert!(text.contains("target/xtask/logs") && !text.contains("target/dist"), "{text}");
    assert!(!text.contains("Verify:"), "{text}");
}

#[test]
fn colour_is_for_terminals_and_those_who_ask_for_it() {
    let fixture = Fixture::new();
    let escapes = |name: &str, value: &str| {
        let answer = Answer(fixture.command(&["headers"]).env(name, value).output().unwrap());
        assert_eq!(answer.code(), 0, "{}", answer.err());
        answer.err().contains('\u{1b}') || answer.out().contains('\u{1b}')
    };
    assert!(escapes("CARGO_TERM_COLOR", "always"));
    assert!(!escapes("NO_COLOR", "1"));
    assert!(!escapes("CARGO_TERM_COLOR", "never"));
}

#[test]
fn doctor_groups_programs_by_the_command_that_needs_them() {
    let fixture = Fixture::new();
    let report: Value = serde_json::from_str(&fixture.xtask(&["doctor", "--json"]).out()).unwrap();
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups[0]["command"], "validate");
    let mut names = Vec::new();
    for group in groups {
        let programs = group["programs"].as_array().unwrap();
        let missing: Vec<_> = programs.iter().map(|it| !it["fix"].is_null()).collect();
        assert!(missing.is_sorted_by(|a, b| a >= b), "missing ones come first: {group}");
        names.extend(programs.iter().map(|it| it["name"].to_string()));
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a program comes twice");
    let whole = fixture.xtask(&["doctor", "--json", "--all"]).out();
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["groups"].as_array().unwrap().last().unwrap()["command"], "no command");
}
