// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `determinism` passes a reproducible build, and reports where an irreproducible one differs.

use std::fs;

use serde_json::Value;

use crate::common::{Answer, Fixture, need};

const MAIN: &str = r#"
//! Prints its identity.

mod build_info;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, verb, folder] = arguments.as_slice() {
        assert_eq!(verb, "packaging");
        std::fs::create_dir(format!("{folder}/man")).unwrap();
        std::fs::write(format!("{folder}/man/one.1"), "a page").unwrap();
    }
    println!("{}", option_env!("SURROUNDINGS").unwrap_or_default());
    println!("one {}", build_info::long_version());
}
"#;

/// Writes down everything that may not reach a program.
const BUILD: &str = r#"
//! Looks around.

use std::process::Command;

fn main() {
    let print = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let zone = std::env::var("TZ").unwrap_or_default();
    let entries = std::fs::read_dir("listed").unwrap();
    let names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let year = print("date", &["+%Y"]);
    let (host, umask) = (print("uname", &["-n"]), print("sh", &["-c", "umask"]));
    let user = print("id", &["-u"]);
    println!(
        "cargo::rustc-env=SURROUNDINGS=<zone {zone}><year {year}><host {host}><umask {umask}><user {user}><files {}>",
        names.join(" ")
    );
}
"#;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.write_build_info();
    fixture.write_with_header("one/src/main.rs", MAIN);
    fixture.replace("release.toml", "[\"raw\"]", "[\"raw\", \"tar.gz\"]\ndocuments_itself = true");
    fixture.append(
        "release.toml",
        "\n[engines]\nimages = \"podman\"\nsbom = \"native\"\nsignatures = \"native\"\n",
    );
    fixture.write(
        "build/rebuild/data/otherwise.c",
        include_str!("../../../build/rebuild/data/otherwise.c"),
    );
    fixture.commit();
    fixture
}

/// The release folder and its manifest.
fn release(fixture: &Fixture) -> (std::path::PathBuf, Value) {
    let folder = fs::canonicalize(fixture.root().join("target/dist/latest")).unwrap();
    let manifest = serde_json::from_slice(&fs::read(folder.join("release.json")).unwrap()).unwrap();
    (folder, manifest)
}

fn report(fixture: &Fixture) -> Value {
    let path = fixture.root().join("target/xtask/determinism.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn expect_code(answer: &Answer, code: i32) {
    assert_eq!(answer.code(), code, "{}{}", answer.out(), answer.err());
}

#[test]
fn a_good_build_is_the_same_twice_and_against_its_own_record() {
    need!(&["cc", "cargo", "git", "podman"]);
    let fixture = fixture();
    expect_code(&fixture.xtask(&["determinism", "--json"]), 0);
    let (folder, manifest) = release(&fixture);
    let reproduced = &manifest["reproduced"];
    assert_eq!(reproduced["different"].as_array().unwrap().len(), 0, "{reproduced}");
    let variations = reproduced["variations"].to_string();
    for varied in ["folder", "HOME", "umask", "jobs", "order of files", "LC_ALL", "TZ"] {
        assert!(variations.contains(varied), "{variations}");
    }
    for artifact in manifest["artifacts"].as_array().unwrap() {
        let identical = reproduced["identical"].as_array().unwrap();
        assert!(identical.contains(&artifact["path"]), "{artifact} is not in {reproduced}");
    }

    let archive = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
    let archive = archive.into_iter().find(|it| it.to_string_lossy().ends_with(".tar.gz")).unwrap();
    let read = |member: &str| {
        let tar = std::process::Command::new("tar")
            .arg("--extract")
            .arg("--to-stdout")
            .arg("--file")
            .arg(&archive)
            .args(["--wildcards", &format!("*/{member}")])
            .output()
            .unwrap();
        String::from_utf8(tar.stdout).unwrap()
    };
    assert_eq!(read("man/one.1"), "a page");
    assert!(read("THIRD-PARTY-NOTICES").contains("Rust's standard library"));

    let kept = fixture.root().join("target/earlier.json");
    let text = fs::read_to_string(folder.join("release.json")).unwrap();
    fs::write(&kept, &text).unwrap();
    let against = ["determinism", "--json", "--against", "target/earlier.json"];
    expect_code(&fixture.xtask(&against), 0);
    let binary = manifest["artifacts"].as_array().unwrap();
    let binary = binary.iter().find(|it| it["kind"] == "binary").unwrap();
    let sum = binary["sha256"].as_str().unwrap();
    fs::write(&kept, text.replace(sum, &sum.replace(|_: char| true, "0"))).unwrap();
    let answer = fixture.xtask(&against);
    expect_code(&answer, 1);
    let findings = answer.findings("rebuild");
    assert_eq!(findings[0]["file"], binary["path"], "{findings:?}");
    assert_eq!(findings[0]["rule"], "not-reproducible");
    let commit = manifest["source"]["commit"].as_str().unwrap();
    fs::write(&kept, text.replace(commit, &commit.replace(|_: char| true, "0"))).unwrap();
    let answer = fixture.xtask(&against);
    expect_code(&answer, 1);
    assert!(
        answer.out().contains("different source gives different artifacts"),
        "{}",
        answer.out()
    );
}

#[test]
fn two_versions_of_the_same_code_differ_in_the_identity_alone() {
    need!(&["cc", "cargo", "git", "podman"]);
    let fixture = fixture();
    let build = || {
        expect_code(&fixture.xtask(&["build", "--json"]), 0);
        let folder = fixture.root().join("target/xtask");
        let program = folder.join("binaries/amd64/one");
        let linked = folder.join("build/x86_64-unknown-linux-gnu/dist/one");
        let read = |name: &str| fs::read(program.join(name)).unwrap();
        let printed = std::process::Command::new(program.join("one")).output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        (read("one"), read("one.debug"), printed, fs::metadata(linked).unwrap().modified().unwrap())
    };
    let (first, first_debug, first_prints, first_linked) = build();
    fixture.write("LICENSE", "The licence, in other words.\n");
    fixture.commit();
    let (second, second_debug, second_prints, second_linked) = build();
    assert_eq!(first_linked, second_linked, "compiled or linked again");
    assert_ne!(first_prints, second_prints);
    assert!(first_debug == second_debug, "the debug information differs");
    let text = |bytes: &[u8]| build_info::stamp::read(bytes).unwrap().to_vec();
    let (first_text, second_text) = (text(&first), text(&second));
    assert_ne!(first_text, second_text);
    let mut restamped = first;
    build_info::stamp::stamp(&mut restamped, std::str::from_utf8(&second_text).unwrap()).unwrap();
    assert!(restamped == second, "something beside the identity differs");
}

#[test]
fn what_an_earlier_run_left_is_up_to_date_until_something_changes() {
    need!(&["cc", "cargo", "git"]);
    let fixture = fixture();
    let outcomes = || {
        let answer = fixture.xtask(&["dist", "--json"]);
        expect_code(&answer, 0);
        let report: Value = serde_json::from_str(&answer.out()).unwrap();
        let rows = report["steps"].as_array().unwrap();
        let word = |row: &Value| format!("{} {}", row["step"], row["verdict"]["outcome"]);
        rows.iter().map(word).collect::<Vec<_>>().join(", ").replace('"', "")
    };
    let all_done = "build done, package done, sbom done, checksums done";
    assert_eq!(outcomes(), all_done);
    assert_eq!(outcomes(), all_done.replace("done", "cached"));

    let sums = fs::canonicalize(fixture.root().join("target/dist/latest/SHA256SUMS")).unwrap();
    fs::remove_file(&sums).unwrap();
    assert_eq!(outcomes(), "build cached, package cached, sbom cached, checksums done");
    let binary = fixture.root().join("target/xtask/binaries/amd64/one/one");
    let mut bytes = fs::read(&binary).unwrap();
    bytes.push(0);
    fs::write(&binary, bytes).unwrap();
    assert_eq!(outcomes(), all_done, "an output was changed by hand");
    assert_eq!(outcomes(), all_done.replace("done", "cached"));
    fixture.append("LICENSE", "More.\n");
    assert_eq!(outcomes(), all_done, "the source differs");
}

#[test]
fn a_build_that_looks_around_is_found_and_the_place_is_named() {
    need!(&["cc", "cargo", "git", "podman", "date", "uname", "diffoscope"]);
    let fixture = fixture();
    fixture.write_with_header("one/build.rs", BUILD);
    for name in ["a", "b", "c", "d"] {
        fixture.write(&format!("one/listed/{name}"), "");
    }
    fixture.commit();
    let answer = fixture.xtask(&["determinism", "--json"]);
    expect_code(&answer, 1);
    let findings = answer.findings("rebuild");
    assert!(!findings.is_empty(), "{}{}", answer.out(), answer.err());
    let (folder, manifest) = release(&fixture);
    let artifacts = manifest["artifacts"].as_array().unwrap();
    let binary =
        artifacts.iter().find(|it| it["kind"] == "binary").unwrap()["path"].as_str().unwrap();
    let found = findings.iter().find(|it| it["file"] == binary).unwrap();
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("in .") && message.contains("at offset 0x"), "{message}");
    assert!(found["fix"].as_str().unwrap().starts_with("diffoscope "), "{found}");
    assert!(manifest["reproduced"]["different"].to_string().contains(binary));

    // The second build's view shows that each variation took effect.
    let seen = |path: std::path::PathBuf| -> String {
        let bytes = fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (_, rest) = text.split_once("<zone ").unwrap();
        rest.chars().take_while(|c| c.is_ascii_graphic() || *c == ' ').collect()
    };
    let second = fixture.root().join("target/xtask/rebuild");
    let version = folder.file_name().unwrap();
    let second = second.join("elsewhere/in-a-folder-with-a-longer-name/source/target/dist");
    let (ours, theirs) = (seen(folder.join(binary)), seen(second.join(version).join(binary)));
    let value = |seen: &str, name: &str| {
        let whole = format!("<zone {seen}");
        let (_, rest) = whole.split_once(&format!("<{name} ")).unwrap();
        rest.split('>').next().unwrap().to_owned()
    };
    // The build sets its own time zone.
    assert_eq!(value(&theirs, "zone"), value(&ours, "zone"));
    assert_eq!(value(&theirs, "umask"), "0077");
    let order = |seen: &str| value(seen, "files").split(' ').map(str::to_owned).collect::<Vec<_>>();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(order(&ours)), sorted(order(&theirs)));
    let report = report(&fixture);
    for variation in report["variations"].as_array().unwrap() {
        if variation.get("same_because").is_some() {
            continue;
        }
        match variation["what"].as_str().unwrap() {
            "clock" => assert_ne!(value(&ours, "year"), value(&theirs, "year")),
            "host name" => assert_eq!(value(&theirs, "host"), "elsewhere"),
            "user" => assert_ne!(value(&ours, "user"), value(&theirs, "user")),
            _ => {}
        }
    }
}
