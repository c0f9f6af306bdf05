// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Golden plans: the programs that gates run, and the steps of a release with all their actions.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::common::{Fixture, need};

/// Each step with its actions. Of a command, the program and the arguments before the first that
/// depends on the host: a path, a target, a version.
fn plan(fixture: &Fixture, args: &[&str]) -> Vec<(String, Vec<String>)> {
    let answer = fixture.xtask(&[args, &["--plan", "json"]].concat());
    assert_eq!(answer.code(), 0, "{}", answer.err());
    let plan: Value = serde_json::from_str(&answer.out()).unwrap();
    let version = plan["version"].as_str().unwrap();
    let line = |action: &Value| {
        let line = match action["native"].as_str() {
            Some(native) => format!("do {}", native.replace(version, "VERSION")),
            None => format!("run {}", command(&action["command"])),
        };
        line.split(' ').map(without_commit).collect::<Vec<_>>().join(" ")
    };
    let step = |step: &Value| {
        let lines = step["plan"]["actions"].as_array().unwrap().iter().map(line);
        // Missing where rustup installed the standard library of the target.
        let lines = lines.filter(|it| !it.contains("source of Rust's standard library"));
        (step["name"].as_str().unwrap().to_owned(), lines.collect())
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

fn text(steps: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    for (name, lines) in steps {
        writeln!(text, "{name}").unwrap();
        for line in lines {
            writeln!(text, "  {line}").unwrap();
        }
    }
    text
}

/// Commits of the fixture have other ids in each run.
fn without_commit(word: &str) -> &str {
    let is_commit = word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { "COMMIT" } else { word }
}

fn command(command: &Value) -> String {
    let program = Path::new(command["program"].as_str().unwrap()).file_name().unwrap();
    let args = command["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let stable = args.take_while(|arg| {
        !arg.contains(['/', '=']) && !arg.starts_with("--target") && !arg.starts_with("-Z")
    });
    let words: Vec<_> = [program.to_str().unwrap()].into_iter().chain(stable).collect();
    words.join(" ")
}

#[test]
fn plans_are_as_recorded() {
    // Without it, `test` plans other commands.
    need!(&["cargo-nextest"]);
    let fixture = Fixture::new();
    let engines = "\n[engines]\nimages = \"podman\"\niso = \"native\"\nsbom = \"native\"\nsignatures = \"native\"\n";
    fixture.append("release.toml", engines);
    let mut validate = plan(&fixture, &["validate"]);
    // What a gate does itself is tested by violations.
    for (_, lines) in &mut validate {
        lines.retain(|line| line.starts_with("run "));
    }
    validate.retain(|(_, lines)| !lines.is_empty());
    insta::assert_snapshot!("validate", text(&validate));
    let release = plan(&fixture, &["release", "--snapshot", "--target=x86_64"]);
    insta::assert_snapshot!("release", text(&release));
}
