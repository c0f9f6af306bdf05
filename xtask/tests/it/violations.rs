// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gates for more than Rust code: each passes a workspace with suitable files, and fails on an
//! injected violation, alone and at the right place.
//!
//! All gates run after every violation. To limit the run time, a test injects several violations
//! one after another, reverting each.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::common::{Answer, Fixture, expect_only, need};

/// Programs that the tested gates need, Rust's aside.
const TOOLS: &[&str] = &["actionlint", "check-jsonschema", "hadolint", "zizmor"];

const WORKFLOW: &str = ".github/workflows/pr.yml";
const MAIN: &str = "one/src/main.rs";
const LIB: &str = "one/src/lib.rs";

const GATES: &str = r#"
[gates.audit]
database = "DATABASE"

[gates.licenses]
allow = ["MIT"]

[gates.schema]
folder = "schemas"
recipes = "recipes"
"#;

const SCHEMA: &str = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": {
    "name": { "type": "string" }
  }
}
"#;

const CONTAINERFILE: &str = r#"
ARG BASE
FROM ${BASE}

ARG TEXT
LABEL org.opencontainers.image.base.digest="${TEXT}" \
      org.opencontainers.image.base.name="${TEXT}" \
      org.opencontainers.image.created="${TEXT}" \
      org.opencontainers.image.description="${TEXT}" \
      org.opencontainers.image.licenses="${TEXT}" \
      org.opencontainers.image.revision="${TEXT}" \
      org.opencontainers.image.source="${TEXT}" \
      org.opencontainers.image.title="${TEXT}" \
      org.opencontainers.image.vendor="${TEXT}" \
      org.opencontainers.image.version="${TEXT}"
"#;

const README: &str = "<!-- SPDX-License-Identifier: AGPL-3.0-or-later -->\n\
    <!-- Copyright (C) 2026 The Provisioner Authors -->\n\n# A thing\n\nSee the [licence](LICENSE).\n";

/// Advisory for [`create_whole`]: the third version of the dependency is vulnerable.
const ADVISORY: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"foreign\"\n\
    date = \"2020-01-02\"\n[versions]\npatched = [\">= 2.0.0\"]\nunaffected = [\"< 1.2.0\"]\n```\n\n# It breaks\n";

/// A workspace with a dependency, a schema, a Containerfile and a page, which passes every gate.
fn create_whole() -> Fixture {
    let fixture = Fixture::new();
    let root = fixture.root();
    // Below `target`, so not part of the source: a directory registry (The Cargo Book, "Source
    // Replacement") and an advisory database.
    for (version, license) in [("1.0.0", "MIT"), ("1.1.0", "SSPL-1.0"), ("1.2.0", "MIT")] {
        let folder = format!("target/vendor/foreign-{version}");
        fixture.write(&format!("{folder}/Cargo.toml"), &format!("[package]\nname = \"foreign\"\nversion = \"{version}\"\nedition = \"2024\"\nlicense = \"{license}\"\n"));
        fixture.write(&format!("{folder}/src/lib.rs"), "pub fn nothing() {}\n");
        let sums = format!("{{\"files\":{{}},\"package\":\"{}\"}}", sum(version));
        fixture.write(&format!("{folder}/.cargo-checksum.json"), &sums);
    }
    fixture.write("target/advisories/crates/foreign/RUSTSEC-2020-0001.md", ADVISORY);
    let advisories = root.join("target/advisories");
    repository(&advisories, &["init", "--quiet"]);
    repository(&advisories, &["add", "--all"]);
    repository(&advisories, &["commit", "--quiet", "--message", "x"]);

    fixture.write_with_header(
        ".cargo/config.toml",
        "\n[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"target/vendor\"\n",
    );
    fixture.append("one/Cargo.toml", "\n[dependencies]\nforeign = \"1\"\n");
    fixture.replace(LIB, "    a + b", "    foreign::nothing();\n    a + b");
    fixture.append("Cargo.lock", "dependencies = [\n \"foreign\",\n]\n");
    fixture.replace("Cargo.lock", "[[package]]", &lock_content("1.0.0"));
    let database = format!("file://{}", root.join("target/advisories").display());
    fixture.append("release.toml", &GATES.replace("DATABASE", &database));
    fixture.write("schemas/thing-1.0.schema.json", SCHEMA);
    fixture.write("recipes/good.json", "{\"name\": \"a\"}\n");
    fixture.write_with_header("image/Containerfile", CONTAINERFILE);
    fixture.write("README.md", README);
    fixture.commit();
    fixture
}

/// Runs Git in `folder`.
fn repository(folder: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args);
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(command.status().unwrap().success());
}

/// Content of `Cargo.lock` before the fixture's own crate.
fn lock_content(version: &str) -> String {
    format!(
        "[[package]]\nname = \"foreign\"\nversion = \"{version}\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"{}\"\n\n[[package]]",
        sum(version)
    )
}

/// A checksum for each version of the dependency.
fn sum(version: &str) -> String {
    version.replace('.', "0").repeat(13).chars().take(64).collect()
}

/// A violation: injects it and returns file, line and rule of the expected finding.
type Violation = fn(&Fixture) -> (&'static str, Option<u64>, &'static str);

/// Checks that the workspace passes, and that each violation fails its gate alone.
fn check_each(violations: &[(&str, Violation)]) {
    need!(TOOLS);
    let fixture = create_whole();
    let answer = fixture.xtask(&["validate", "--json"]);
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    let outcomes = answer.outcomes();
    for (gate, _) in violations {
        assert!(outcomes.contains(&((*gate).to_owned(), "done".to_owned())), "{outcomes:?}");
    }
    for (gate, violation) in violations {
        let (file, line, rule) = violation(&fixture);
        expect_only(&fixture.xtask(&["validate", "--json"]), gate, file, line, rule);
        fixture.git(&["reset", "--quiet", "--hard"]);
        fixture.git(&["clean", "--quiet", "--force", "-d"]);
    }
}

/// Locks another version of the dependency and returns its line.
fn lock_version(fixture: &Fixture, version: &str) -> u64 {
    let text = fs::read_to_string(fixture.root().join("Cargo.lock")).unwrap();
    fixture.write("Cargo.lock", &text.replace(&lock_content("1.0.0"), &lock_content(version)));
    fixture.replace("Cargo.lock", "name = \"foreign\"", "name = \"foreign\"")
}

#[test]
fn what_tests_do_not_reach() {
    let fixture = Fixture::new();
    fixture.append("release.toml", "\n[gates.coverage]\nwhole = 30.0\nchanged = 90.0\n");
    // Cargo builds a binary only for integration tests.
    fixture.write_with_header(
        "one/tests/built.rs",
        "\n//! The program is there.\n\n#[test]\nfn the_program_is_built() {\n    let program = std::path::Path::new(env!(\"CARGO_BIN_EXE_one\"));\n    assert!(program.is_file());\n}\n",
    );
    fixture.commit();
    let outcomes = fixture.xtask(&["validate", "--json"]).outcomes();
    if outcomes.contains(&("coverage".to_owned(), "skipped".to_owned())) {
        let reason = "the compiler's LLVM has no llvm-cov here";
        return test_support::skip(test_support::Requirement::Program("llvm-cov"), reason);
    }
    assert!(outcomes.contains(&("coverage".to_owned(), "done".to_owned())), "{outcomes:?}");
    // A binary with counters would write `default_*.profraw` wherever it runs later.
    let built = |folder: &str| fixture.root().join(folder).join("debug/one").is_file();
    assert!(built("target/coverage") && !built("target"));
    let line = fixture.replace(MAIN, "fn main() {", "fn main() {\n    println!(\"first\");") + 1;
    let answer = fixture.xtask(&["validate", "--json"]);
    expect_only(&answer, "coverage", MAIN, Some(line), "changed");
    for name in ["coverage/lcov.info", "coverage/worst.txt", "coverage/html/index.html"] {
        assert!(fixture.root().join("target/xtask").join(name).is_file(), "{name}");
    }
    fixture.commit();
    fixture.replace("release.toml", "whole = 30.0", "whole = 99.0");
    let answer = fixture.xtask(&["validate", "--json"]);
    expect_only(&answer, "coverage", MAIN, Some(line - 1), "whole");
}

#[test]
fn what_others_wrote() {
    check_each(&[
        ("licenses", |fixture| {
            ("Cargo.lock", Some(lock_version(fixture, "1.1.0")), "incompatible-licence")
        }),
        ("audit", |fixture| {
            ("Cargo.lock", Some(lock_version(fixture, "1.2.0")), "RUSTSEC-2020-0001")
        }),
        ("deadcode", |fixture| {
            let line = fixture.replace("one/Cargo.toml", "foreign = \"1\"", "foreign = \"1\"");
            fixture.replace(LIB, "    foreign::nothing();\n", "");
            ("one/Cargo.toml", Some(line), "unused-dependency")
        }),
    ]);
}

/// A mirror of crates.io (The Cargo Book, "Source Replacement") with two versions of one crate.
struct Mirror<'a> {
    fixture: &'a Fixture,
    checksums: [(&'static str, String); 2],
}

impl<'a> Mirror<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        let checksums = ["1.0.0", "1.0.1"].map(|version| {
            let package = package(version);
            let place = fixture.root().join(format!("target/mirror/foreign-{version}.crate"));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, &package).unwrap();
            (version, format!("{:x}", Sha256::digest(&package)))
        });
        let root = fixture.root().join("target/mirror");
        fixture.write_with_header(
            ".cargo/config.toml",
            &format!(
                "\n[source.crates-io]\nreplace-with = \"mirror\"\n\n[source.mirror]\n\
                 registry = \"file://{}/index\"\n",
                root.display()
            ),
        );
        let download = format!("file://{}/{{crate}}-{{version}}.crate", root.display());
        fixture.write("target/mirror/index/config.json", &format!("{{\"dl\":\"{download}\"}}"));
        repository(&root.join("index"), &["init", "--quiet"]);
        Self { fixture, checksums }
    }

    /// Writes the index (The Cargo Book, "Registry Index") with the version `yanked` yanked.
    fn publish(&self, yanked: &str) {
        let line = |(version, checksum): &(&str, String)| {
            let yanked = *version == yanked;
            format!(
                "{{\"name\":\"foreign\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"{checksum}\",\
                 \"features\":{{}},\"yanked\":{yanked}}}\n"
            )
        };
        let lines: String = self.checksums.iter().map(line).collect();
        self.fixture.write("target/mirror/index/fo/re/foreign", &lines);
        let index = self.fixture.root().join("target/mirror/index");
        repository(&index, &["add", "--all"]);
        repository(&index, &["commit", "--quiet", "--message", "x"]);
    }
}

/// A `.crate` file.
fn package(version: &str) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    let manifest =
        format!("[package]\nname = \"foreign\"\nversion = \"{version}\"\nedition = \"2024\"\n");
    for (path, text) in [("Cargo.toml", manifest.as_str()), ("src/lib.rs", "pub fn nothing() {}\n")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = format!("foreign-{version}/{path}");
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_version_that_its_authors_have_taken_back() {
    need!(&["xz"]);
    let fixture = create_whole();
    let mirror = Mirror::new(&fixture);
    let lock = fs::read_to_string(fixture.root().join("Cargo.lock")).unwrap();
    fixture.write("Cargo.lock", &lock.replace(&sum("1.0.0"), &mirror.checksums[0].1));
    let home = fixture.root().join("target/cargo-home");
    let audit = || {
        let mut command = fixture.command(&["audit", "--json"]);
        Answer(command.env("CARGO_HOME", &home).output().unwrap())
    };
    mirror.publish("1.0.1");
    let answer = audit();
    assert_eq!(answer.code(), 0, "{}", answer.err());
    assert!(!answer.out().contains("not checked for yanks"), "{}", answer.out());
    mirror.publish("1.0.0");
    let line = fixture.replace("Cargo.lock", "name = \"foreign\"", "name = \"foreign\"");
    expect_only(&audit(), "audit", "Cargo.lock", Some(line), "yanked");
}

#[test]
fn what_containers_and_workflows_are_made_of() {
    check_each(&[
        ("containers", |fixture| {
            let line = fixture.replace("image/Containerfile", "FROM ${BASE}", "FROM debian:13");
            ("image/Containerfile", Some(line), "unpinned-base")
        }),
        ("containers", |fixture| {
            let line = fixture.replace("image/Containerfile", "ARG TEXT", "WORKDIR tmp\nARG TEXT");
            ("image/Containerfile", Some(line), "DL3000")
        }),
        ("workflows", |fixture| {
            let text = fs::read_to_string(fixture.root().join(WORKFLOW)).unwrap();
            fixture.append(WORKFLOW, "      - run: ls\n");
            let line = text.lines().count() as u64 + 1;
            (WORKFLOW, Some(line), "foreign-command")
        }),
        ("workflows", |fixture| {
            let path = ".github/workflows/retention.yml";
            fixture.replace(path, "run: cargo xtask ci retention", "run: cargo xtask fmt");
            (path, None, "missing-workflow")
        }),
        ("workflows", |fixture| {
            let path = ".github/rulesets/main.json";
            let other = "\"required_status_checks\": [\n          { \"context\": \"other\" },";
            fixture.replace(path, "\"required_status_checks\": [", other);
            (path, None, "unknown-check")
        }),
        ("schema", |fixture| {
            let line = SCHEMA.lines().count() as u64;
            let strict = SCHEMA.replace("  }\n}\n", "  },\n  \"required\": [\"name\"]\n}\n");
            fixture.write("schemas/thing-1.1.schema.json", &strict);
            ("schemas/thing-1.1.schema.json", Some(line), "breaking")
        }),
    ]);
}

#[test]
fn what_nobody_should_write() {
    check_each(&[
        ("deadcode", |fixture| {
            let item = "/// Nobody's.\npub const NOBODY: u32 = 1;\n\n#[cfg(test)]";
            let line = fixture.replace(LIB, "#[cfg(test)]", item) + 1;
            (LIB, Some(line), "unused-public")
        }),
        ("layers", |fixture| {
            let file = |from: &str, to: &str| {
                format!(
                    "\n//! Half of a cycle.\n\npub(crate) fn {from}(n: u32) -> u32 {{\n    \
                     n.checked_sub(1).map_or(0, crate::{to}::{to})\n}}\n"
                )
            };
            fixture.write_with_header("one/src/left.rs", &file("left", "right"));
            fixture.write_with_header("one/src/right.rs", &file("right", "left"));
            fixture.replace(LIB, "    a + b", "    a + b + left::left(0)");
            fixture.replace(LIB, "/// The sum.", "mod left;\nmod right;\n\n/// The sum.");
            ("one/src/left.rs", Some(7), "import-cycle")
        }),
        ("layers", |fixture| {
            fixture.append("release.toml", "\n[gates.layers]\norder = [[\"one\"], [\"one\"]]\n");
            ("release.toml", None, "unknown-crate")
        }),
        ("secrets", |fixture| {
            // Split, so that this file contains no secret.
            fixture.write_with_header("note.toml", concat!("id = \"AKIA", "IOSFODNN7EXAMPLE\"\n"));
            ("note.toml", Some(3), "aws-access-key")
        }),
        ("docs", |fixture| {
            let line = fixture.replace("README.md", "(LICENSE)", "(LICENCE)");
            ("README.md", Some(line), "broken-link")
        }),
        ("docs", |fixture| {
            fixture.append("README.md", "\n```console\n$ cargo xtask validtae\n```\n");
            ("README.md", Some(9), "unknown-command")
        }),
    ]);
}
