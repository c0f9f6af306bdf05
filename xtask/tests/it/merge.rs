// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `dist --split` and `dist --merge` give the same result as `dist`.

use std::fs;
use std::path::{Path, PathBuf};

use test_support::folder::tree;

use crate::common::{Answer, Fixture, need};

pub(crate) const MAIN: &str = r#"
//! Prints its version.

#[path = "PATH"]
mod build_info;

fn main() {
    println!("one {}", build_info::long_version());
}
"#;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.write_build_info();
    fixture.write_with_header("one/src/main.rs", &MAIN.replace("PATH", "build_info.rs"));
    let two = MAIN.replace("PATH", "../build_info.rs").replace("one {}", "two {}");
    fixture.write_with_header("one/src/bin/two.rs", &two);
    fixture.append(
        "release.toml",
        "\n[[binary]]\nname = \"two\"\npackage = \"one\"\ndeliver = [\"raw\", \"tar.gz\"]\n\
         \n[engines]\nsbom = \"native\"\n",
    );
    fixture.commit();
    fixture
}

/// The folder of the only release.
fn release(fixture: &Fixture) -> PathBuf {
    fs::canonicalize(fixture.root().join("target/dist/latest")).unwrap()
}

fn expect_code(answer: &Answer, code: i32) {
    assert_eq!(answer.code(), code, "{}{}", answer.out(), answer.err());
}

#[test]
fn parts_of_two_machines_become_the_release_of_one() {
    need!(&["cargo", "git"]);
    let fixture = fixture();
    let target = format!("--target={}", std::env::consts::ARCH);
    expect_code(&fixture.xtask(&["dist", &target]), 0);
    let whole = tree(&release(&fixture));
    assert!(whole.contains_key(Path::new("SHA256SUMS")) && whole.len() > 10, "{:?}", whole.keys());

    let elsewhere = tempfile::tempdir().unwrap();
    let part = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    for name in ["one", "two"] {
        fs::remove_dir_all(release(&fixture)).unwrap();
        expect_code(&fixture.xtask(&["dist", "--split", "--bin", name, &target]), 0);
        let files = tree(&release(&fixture));
        assert!(!files.contains_key(Path::new("SHA256SUMS")), "{:?}", files.keys());
        for (path, bytes) in files {
            let path = elsewhere.path().join(name).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let (one, two) = (part("one"), part("two"));
    for parts in [[&one, &two], [&two, &one]] {
        expect_code(&fixture.xtask(&["dist", "--merge", parts[0], parts[1], &target]), 0);
        let merged = tree(&release(&fixture));
        assert_eq!(merged.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        for (path, bytes) in &merged {
            assert!(*bytes == whole[path], "{} differs", path.display());
        }
    }

    let refused = |parts: &[&str], expected: &str| {
        let mut arguments = vec!["dist", target.as_str(), "--merge"];
        arguments.extend(parts);
        let answer = fixture.xtask(&arguments);
        expect_code(&answer, 1);
        assert!(answer.err().contains(expected), "{expected}\n{}", answer.err());
    };
    refused(&[&one], "no part contains two_v1.2.3-snapshot.");
    refused(&[&one, &two, &two], "both contain two_v1.2.3-snapshot.");
    refused(&[&one, &part("three")], "three is not a part of a release");
    let own = release(&fixture);
    refused(&[own.to_str().unwrap()], "is in the output folder of the release");
    let binary = whole.keys().find(|it| it.to_str().unwrap().starts_with("two_v")).unwrap();
    let place = Path::new(&two).join(binary);
    let good = fs::read(&place).unwrap();
    fs::write(&place, [&good[..], b"x"].concat()).unwrap();
    refused(&[&one, &two], "does not match its release.json");
    fs::write(&place, good).unwrap();

    fixture.write("README", "Another commit.\n");
    fixture.commit();
    refused(&[&one, &two], "has commit ");
}
