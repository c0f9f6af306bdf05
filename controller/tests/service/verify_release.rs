// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Exit codes and output of `controller verify-release`. The crate `verify` tests the checks
//! themselves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use test_support::assert_contains;

/// A public key in PEM that signed nothing.
fn public_key() -> String {
    signing::PrivateKey::generate().public().to_pem().unwrap()
}

fn verify(arguments: &[&str], key: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_controller"));
    command.arg("verify-release").args(arguments).arg("--key").arg(key).output().unwrap()
}

#[test]
fn an_empty_folder_is_rejected_with_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::write(&key, public_key()).unwrap();
    let release = folder.path().join("release");
    fs::create_dir(&release).unwrap();
    let output = verify(&["--release", release.to_str().unwrap()], &key);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("release.json"), "{table}");
    assert!(table.ends_with("\nREJECTED\n"), "{table}");
}

#[test]
fn an_identity_is_held_against_the_root_that_is_built_in_or_another() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.json");
    fs::write(&root, "{}").unwrap();
    let call = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_controller"));
        command.args(["verify-release", "--certificate-identity", "somebody@example.org"]);
        command.args(more).arg("--release").arg(folder.path()).output().unwrap()
    };
    let issuer = ["--certificate-oidc-issuer", "https://token.example"];
    let output = call(&issuer);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nREJECTED\n"), "{output:?}");
    let with_root = [issuer[0], issuer[1], "--trusted-root", root.to_str().unwrap()];
    let nobody = ["--certificate-oidc-issuer", ""];
    for (more, expected) in [
        (&with_root[..], "not a trusted root"),
        (&[], "--certificate-oidc-issuer <URL>"),
        (&nobody, "a value is required"),
    ] {
        let output = call(more);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_contains(String::from_utf8(output.stderr).unwrap(), expected);
    }
}

#[test]
fn where_nothing_can_be_checked_there_is_no_verdict_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::write(&key, public_key()).unwrap();
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    // A port that was free a moment ago, so no registry answers.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}/x:1.0.0");
    for (arguments, key, expected) in [
        (vec!["--release", missing], key.as_path(), "cannot read the release folder"),
        (vec!["--registry", &nobody], &key, "release:v1.0.0"),
        (vec!["--release", missing], Path::new(missing), "cannot read the public key"),
        (vec![], &key, "required"),
    ] {
        let output = verify(&arguments, key);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_contains(String::from_utf8(output.stderr).unwrap(), expected);
    }
}
