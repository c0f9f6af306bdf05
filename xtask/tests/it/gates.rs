// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Each gate fails on an injected violation, alone and at the right place.

use crate::common::{Answer, Fixture, expect_only, need, path};

const LIB: &str = "one/src/lib.rs";

/// Gates that need only Rust's programs.
const GATES: &[&str] = &["test", "headers", "layers", "deadcode", "secrets", "docs"];
/// Additional programs of the gates `fmt` and `lint`.
const FMT: &[&str] = &["shfmt", "taplo"];
const LINT: &[&str] = &["shellcheck", "systemd-analyze"];

const SCRIPT: &str = "#!/bin/sh\n\
    # SPDX-License-Identifier: AGPL-3.0-or-later\n\
    # Copyright (C) 2026 The Provisioner Authors\n";
const UNIT: &str = "[Unit]\nDescription=A thing\n\n[Service]\nExecStart=/opt/thing/run\n";

fn validate(fixture: &Fixture) -> Answer {
    fixture.xtask(&["validate", "--json"])
}

#[test]
fn a_good_workspace_passes_every_gate() {
    let fixture = Fixture::new();
    let answer = validate(&fixture);
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    let outcomes = answer.outcomes();
    for gate in GATES {
        assert!(outcomes.contains(&((*gate).to_owned(), "done".to_owned())), "{outcomes:?}");
    }
    assert!(fixture.root().join("target/xtask/report.json").is_file());
    assert!(fixture.root().join("target/xtask/logs/headers.log").is_file());
}

#[test]
fn a_run_is_reported_in_all_formats() {
    let fixture = Fixture::new();
    fixture.write("tools/run.sh", "#!/bin/sh\nexit 0\n");
    let summary = fixture.root().join("target/summary.md");
    std::fs::create_dir_all(summary.parent().unwrap()).unwrap();
    std::fs::write(&summary, "before\n").unwrap();
    let mut command = fixture.command(&["headers"]);
    let output = command.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    assert_eq!(Answer(output).code(), 1);
    let read = |path: &str| std::fs::read_to_string(fixture.root().join(path)).unwrap();
    let sarif: serde_json::Value =
        serde_json::from_str(&read("target/xtask/report.sarif")).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "headers/spdx");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "tools/run.sh");
    assert_eq!(place["region"]["startLine"], 1);
    assert!(read("target/xtask/junit.xml").contains("<failure message=\"1 finding\">"));
    let summary = read("target/summary.md");
    assert!(summary.starts_with("before\n### headers: 1 step failed"), "{summary}");
    assert!(summary.contains("- `tools/run.sh:1` spdx:"), "{summary}");
}

#[test]
fn fmt_fails_on_a_badly_formatted_file() {
    need!(FMT);
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "pub fn add(", "pub fn  add(");
    expect_only(&validate(&fixture), "fmt", LIB, Some(line), "rustfmt");
}

#[test]
fn fmt_fails_on_toml_and_on_shell() {
    need!(FMT);
    let fixture = Fixture::new();
    let toml = fixture.replace("release.toml", "name = \"one\"", "name=\"one\"");
    fixture.write("run", &format!("{SCRIPT}if true\nthen\n    exit 0\nfi\n"));
    let answer = fixture.xtask(&["fmt", "--json"]);
    let found: Vec<_> = answer
        .findings("fmt")
        .iter()
        .map(|it| (it["file"].to_string(), it["line"].as_u64().unwrap(), it["rule"].to_string()))
        .collect();
    let expected = [("release.toml", toml, "taplo"), ("run", 4, "shfmt")];
    let quoted = |text: &str| format!("{text:?}");
    let expected = expected.map(|(file, line, rule)| (quoted(file), line, quoted(rule)));
    assert_eq!(found, expected, "{}", answer.err());

    let answer = fixture.xtask(&["fmt", "--fix", "--json"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    let fixed = std::fs::read_to_string(fixture.root().join("run")).unwrap();
    assert!(fixed.ends_with("if true; then\n    exit 0\nfi\n"), "{fixed}");
}

#[test]
fn lint_fails_on_a_doubtful_script() {
    need!(LINT);
    let fixture = Fixture::new();
    fixture.write("run", &format!("{SCRIPT}rm $1\n"));
    expect_only(&validate(&fixture), "lint", "run", Some(4), "SC2086");
}

#[test]
fn lint_fails_on_a_unit_that_systemd_does_not_understand() {
    need!(LINT);
    let fixture = Fixture::new();
    fixture.write_with_header("units/good.service", UNIT);
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 0, "a program that is not installed is no fault: {}", answer.err());
    fixture.write_with_header(
        "units/many@.service",
        &UNIT.replace("[Service]", "Requires=%i.target\n\n[Service]"),
    );
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 0, "what an instance needs is no fault: {}", answer.err());
    let line = fixture.replace("units/many@.service", "Requires=", "Requries=");
    expect_only(&validate(&fixture), "lint", "units/many@.service", Some(line), "systemd");
    std::fs::remove_file(fixture.root().join("units/many@.service")).unwrap();
    fixture.write_with_header("units/bad.service", &UNIT.replace("ExecStart", "ExecStrat"));
    fixture.append("units/bad.service", "ExecStart=/opt/thing/run\n");
    expect_only(&validate(&fixture), "lint", "units/bad.service", Some(7), "systemd");
}

#[test]
fn lint_fails_on_a_container_that_quadlet_does_not_understand() {
    need!(LINT);
    need!(&["quadlet"]);
    let fixture = Fixture::new();
    let container = "[Container]\nImage=localhost/thing:latest\nPull=never\n";
    fixture.write_with_header("units/thing.container", container);
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    let line = fixture.replace("units/thing.container", "Pull=", "Pul=");
    expect_only(&validate(&fixture), "lint", "units/thing.container", Some(line), "quadlet");
}

#[test]
fn lint_fails_on_a_clippy_warning() {
    need!(LINT);
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "a + b", "return a + b;");
    expect_only(&validate(&fixture), "lint", LIB, Some(line), "clippy::needless_return");
}

#[test]
fn lint_fails_on_a_stale_lock_of_a_nested_workspace() {
    need!(LINT);
    let fixture = Fixture::new();
    let lock = "\nversion = 4\n\n[[package]]\nname = \"nested\"\nversion = \"0.1.0\"\n";
    let manifest =
        "\n[workspace]\n\n[package]\nname = \"nested\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fixture.write_with_header("nested/Cargo.toml", manifest);
    fixture.write_with_header("nested/Cargo.lock", lock);
    fixture.write_with_header("nested/src/lib.rs", "\n//! Nested.\n");
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    fixture.append("nested/Cargo.toml", "\n[dependencies]\none = { path = \"../one\" }\n");
    let answer = fixture.xtask(&["lint", "--json"]);
    expect_only(&answer, "lint", "nested/Cargo.lock", None, "lock");
}

#[test]
fn lint_fails_on_a_rustdoc_warning() {
    need!(LINT);
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "/// The sum.", "/// The sum, see [`Missing`].");
    expect_only(&validate(&fixture), "lint", LIB, Some(line), "rustdoc::broken_intra_doc_links");
}

#[test]
fn test_fails_on_a_failing_test() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "super::add(2, 2), 4", "super::add(2, 2), 5");
    expect_only(&validate(&fixture), "test", LIB, Some(line), "test");
}

#[test]
fn test_fails_without_nextest_too() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(fixture.root().join(".config")).unwrap();
    let line = fixture.replace(LIB, "super::add(2, 2), 4", "super::add(2, 2), 5");
    expect_only(&fixture.xtask(&["test", "--json"]), "test", LIB, Some(line), "test");
}

#[test]
fn test_fails_on_a_failing_example_in_the_documentation() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "one::add(1, 2), 3", "one::add(1, 2), 4") - 1;
    expect_only(&validate(&fixture), "test", LIB, Some(line), "test");
}

#[test]
fn headers_fails_on_a_file_without_its_licence() {
    let fixture = Fixture::new();
    fixture.write("tools/run.sh", "#!/bin/sh\nexit 0\n");
    expect_only(&validate(&fixture), "headers", "tools/run.sh", Some(1), "spdx");
}

#[test]
fn code_that_does_not_compile_fails_with_its_place() {
    need!(LINT);
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "    a + b", "    \"a\"");
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 1);
    let findings = answer.findings("lint");
    assert!(findings.iter().any(|it| it["line"] == line && it["rule"] == "E0308"), "{findings:?}");
}

#[test]
fn fix_corrects_format_headers_and_lints_together() {
    need!(FMT);
    need!(LINT);
    let fixture = Fixture::new();
    fixture.replace(LIB, "a + b", "return a + b;");
    fixture.write("one/src/two.rs", "//! More.\nfn  two() {}\n");
    fixture.write("run", "#!/bin/sh\nexit 0\n");
    let answer = fixture.xtask(&["validate", "--fix", "--json"]);
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    let read = |path: &str| std::fs::read_to_string(fixture.root().join(path)).unwrap();
    assert!(read(LIB).contains("    a + b\n"), "{}", read(LIB));
    assert!(read("one/src/two.rs").starts_with("// SPDX-License-Identifier: AGPL-3.0-or-later\n"));
    assert!(read("run").starts_with("#!/bin/sh\n# SPDX-License-Identifier: AGPL-3.0-or-later\n"));
}

#[test]
fn headers_checks_committed_files_too() {
    let fixture = Fixture::new();
    fixture.write("run", "#!/bin/sh\nexit 0\n");
    fixture.commit();
    expect_only(&fixture.xtask(&["headers", "--json"]), "headers", "run", Some(1), "spdx");
}

#[test]
fn the_commit_hook_runs_what_the_commit_concerns() {
    let fixture = Fixture::new();
    let answer = fixture.xtask(&["setup", "--hooks"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    let hook = fixture.root().join(".git/hooks/pre-commit");
    let text = std::fs::read_to_string(&hook).unwrap();
    assert!(text.contains("cargo xtask validate --staged"), "{text}");
    assert_eq!(fixture.xtask(&["setup", "--hooks"]).code(), 0, "installed twice");
    std::fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    let answer = fixture.xtask(&["setup", "--hooks"]);
    assert_eq!(answer.code(), 1);
    assert!(answer.err().contains("another hook is installed at"), "{}", answer.err());

    // Git runs the hook with this build of xtask in place of `cargo xtask`.
    std::fs::write(
        &hook,
        text.replace("cargo xtask v", concat!(env!("CARGO_BIN_EXE_xtask"), " v")),
    )
    .unwrap();
    let commit = |args: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut git = std::process::Command::new("git");
        git.args(who).args(["commit", "--quiet", "-m", "x"]).args(args);
        let output = git.current_dir(fixture.root()).env("PATH", path()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let key =
        ["-----BEGIN ", "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIB\n-----END PRIVATE KEY-----\n"];
    fixture.write_with_header("key.toml", &key.concat());
    fixture.git(&["add", "key.toml"]);
    fixture.write_with_header("key.toml", "");
    let (done, printed) = commit(&[]);
    assert!(!done && printed.contains("key.toml"), "a staged key in a clean work tree: {printed}");
    // Conversely, unstaged edits and untracked files do not affect the hook.
    fixture.git(&["add", "key.toml"]);
    fixture.write_with_header("key.toml", &key.concat());
    fixture.write("untracked.toml", &key.concat());
    let (done, printed) = commit(&[]);
    assert!(done, "{printed}");
    // Git uses a temporary index for a commit of some files.
    let (done, printed) = commit(&["key.toml"]);
    assert!(!done && printed.contains("key.toml"), "{printed}");
    fixture.git(&["checkout", "--quiet", "key.toml"]);
    std::fs::remove_file(fixture.root().join("untracked.toml")).unwrap();
    let status = std::process::Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(fixture.root())
        .output()
        .unwrap();
    assert!(status.stdout.is_empty(), "{}", String::from_utf8_lossy(&status.stdout));

    let steps = |answer: &Answer| -> Vec<String> {
        answer.outcomes().into_iter().map(|(step, _)| step).collect()
    };
    let answer = fixture.xtask(&["validate", "--changed", "--json"]);
    assert_eq!(steps(&answer), [""; 0], "nothing differs from the commit");
    fixture.write_with_header("note.sh", "exit 0\n");
    let answer = fixture.xtask(&["validate", "--changed", "--json"]);
    let ran = steps(&answer);
    assert!(ran.contains(&"headers".to_owned()) && ran.contains(&"secrets".to_owned()), "{ran:?}");
    for other in ["test", "lint", "licenses", "workflows"] {
        assert!(!ran.contains(&other.to_owned()), "{other} ran");
    }
}
