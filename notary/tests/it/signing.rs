// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! End-to-end tests of `notary key`, `sign`, `attest` and `verify`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use release::{Channel, layout};
use signing::{PrivateKey, PublicKey, keyfile};

use crate::support::{BINARY, KeyFile, PACKAGE, Release, expect_failure, expect_success, notary};

#[test]
fn a_generated_key_is_private_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let generate = || {
        let mut command = notary();
        command.args(["key", "generate", "--output-key-prefix"]).arg(folder.path().join("k"));
        command
    };
    assert!(expect_failure(&generate().output().unwrap()).contains("COSIGN_PASSWORD"));
    let stdout =
        expect_success(&generate().env("COSIGN_PASSWORD", "secret words").output().unwrap());
    assert!(!stdout.contains("secret words"), "{stdout}");

    let private = folder.path().join("k.key");
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&private).unwrap();
    let key = keyfile::decrypt(&text, b"secret words").unwrap();
    let public = fs::read_to_string(folder.path().join("k.pub")).unwrap();
    assert_eq!(PublicKey::from_pem(&public).unwrap(), key.public());

    let again = generate().env("COSIGN_PASSWORD", "").output().unwrap();
    assert!(expect_failure(&again).contains("exists"));
    assert_eq!(fs::read_to_string(&private).unwrap(), text);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_no_verdict() {
    let key = PrivateKey::generate();
    let (release, file) = (Release::create_signed(&key, ""), KeyFile::new(&key));
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for (verb, path, code) in [("verify", file.public(), 2), ("sign", file.path(), 1)] {
        let mut command = notary();
        command.arg(verb).arg("--release").arg(release.root()).arg("--key").arg(path);
        let output = command.env("COSIGN_PASSWORD", "").stdout(full()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{verb}: {error}");
        assert!(error.contains("cannot write to standard output: No space left"), "{error}");
    }
}

#[test]
fn the_key_may_be_a_file_a_path_or_its_text() {
    let key = PrivateKey::generate();
    let file = KeyFile::new(&key);
    let text = fs::read_to_string(file.path()).unwrap();
    let release = Release::create_unsigned(Channel::Stable, "");
    let sign = || {
        let mut command = notary();
        command.arg("sign").arg("--release").arg(release.root()).env("COSIGN_PASSWORD", "");
        command
    };
    let signatures = || fs::read(release.path(&layout::signature(layout::MANIFEST))).unwrap();
    expect_success(&sign().env("XTASK_SIGNING_KEY", file.path()).output().unwrap());
    let first = signatures();
    expect_success(&sign().env("XTASK_SIGNING_KEY", text).output().unwrap());
    assert_eq!(first, signatures(), "signatures are deterministic");
    expect_success(&sign().arg("--key").arg(file.path()).output().unwrap());
    assert_eq!(first, signatures());

    let nonsense = sign().env("XTASK_SIGNING_KEY", "/nowhere/key").output().unwrap();
    assert!(expect_failure(&nonsense).contains("XTASK_SIGNING_KEY must be the path"));
    let wrong = sign().arg("--key").arg(file.path()).env("COSIGN_PASSWORD", "x").output().unwrap();
    assert!(expect_failure(&wrong).contains("wrong password for the key file"));
}

#[test]
fn the_password_of_a_key_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let [prefix, password, missing] =
        ["cosign", "password", "missing"].map(|name| folder.path().join(name));
    fs::write(&password, "secret words\n").unwrap();
    let mut generate = notary();
    generate.args(["key", "generate", "--output-key-prefix"]).arg(&prefix);
    expect_success(&generate.env("COSIGN_PASSWORD_FILE", &password).output().unwrap());

    let release = Release::create_unsigned(Channel::Snapshot, "");
    let sign = |variable: &str, value: &std::ffi::OsStr| {
        let mut command = notary();
        command.arg("sign").arg("--release").arg(release.root()).env(variable, value);
        command.arg("--key").arg(prefix.with_extension("key")).output().unwrap()
    };
    expect_success(&sign("COSIGN_PASSWORD_FILE", password.as_os_str()));
    expect_success(&sign("COSIGN_PASSWORD", "secret words".as_ref()));
    let error = expect_failure(&sign("COSIGN_PASSWORD_FILE", missing.as_os_str()));
    assert!(error.contains("cannot read the password") && error.contains("missing"), "{error}");
}

/// Our own program runs cosign with the password in a variable.
#[test]
fn a_failure_of_cosign_is_reported_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let [program, password] = ["cosign", "password"].map(|name| folder.path().join(name));
    fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&password, "secret words\n").unwrap();
    let release = Release::create_unsigned(Channel::Snapshot, "");
    let mut sign = notary();
    sign.args(["sign", "--engine", "cosign", "--key", "k", "--release"]).arg(release.root());
    sign.env("PATH", folder.path()).env("COSIGN_PASSWORD_FILE", &password);
    let output = sign.output().unwrap();
    let error = expect_failure(&output);
    assert!(error.contains("`cosign public-key --key k` ended with exit status: 7"), "{error}");
    assert!(!format!("{output:?}").contains("secret words"), "{output:?}");
}

#[test]
fn a_signed_and_attested_release_is_verified_and_reported_in_one_word() {
    let key = PrivateKey::generate();
    let release = Release::create_signed(&key, "");
    let report = release.verify(&key.public());
    assert!(report.is_verified(), "{report}");

    let file = KeyFile::new(&key);
    let verify = |arguments: &[&str]| {
        let mut command = notary();
        command.arg("verify").arg("--release").arg(release.root());
        command.arg("--key").arg(file.public()).args(arguments).output().unwrap()
    };
    let table = expect_success(&verify(&[]));
    assert!(table.ends_with("\nVERIFIED\n"), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&expect_success(&verify(&["--json"]))).unwrap();
    assert_eq!(report["verdict"], "VERIFIED");
    assert_eq!(report["faults"], serde_json::json!([]));

    let output = verify(&["--builder", "https://example.org/other"]);
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("its builder is") && table.ends_with("\nREJECTED\n"), "{table}");
}

#[test]
fn a_snapshot_without_a_key_is_signed_with_one_that_is_never_written() {
    let release = Release::create_unsigned(Channel::Snapshot, "");
    assert!(expect_failure(&release.notary("attest", None)).contains("run it first"));
    test_support::assert_contains(expect_success(&release.notary("sign", None)), "temporary key");
    assert!(expect_success(&release.notary("attest", None)).contains("already attested"));
    let public = fs::read_to_string(release.path(layout::PUBLIC_KEY)).unwrap();
    let report = release.verify(&PublicKey::from_pem(&public).unwrap());
    assert!(report.is_verified(), "{report}");
    for file in release.files() {
        let text = String::from_utf8_lossy(&fs::read(release.path(&file)).unwrap()).into_owned();
        assert!(!text.contains("PRIVATE KEY"), "{file}");
    }
}

#[test]
fn a_candidate_or_stable_release_without_a_key_is_refused() {
    for channel in [Channel::Candidate, Channel::Stable] {
        let release = Release::create_unsigned(channel, "");
        let before = release.files();
        for verb in ["sign", "attest"] {
            assert!(expect_failure(&release.notary(verb, None)).contains("needs a key"));
        }
        assert_eq!(release.files(), before, "nothing is written");
    }
}

#[test]
fn what_does_not_match_the_manifest_is_not_signed() {
    let file = KeyFile::new(&PrivateKey::generate());
    let release = Release::create_unsigned(Channel::Snapshot, "");
    let before = release.files();
    release.put(BINARY, b"binarx ");
    fs::remove_file(release.path(PACKAGE)).unwrap();
    let error = expect_failure(&release.notary("sign", Some(&file)));
    assert!(error.contains(BINARY) && error.contains(PACKAGE), "{error}");
    assert_eq!(release.files().len(), before.len() - 1, "nothing is written");
}

#[test]
fn a_release_has_one_key() {
    let (first, second) = (PrivateKey::generate(), PrivateKey::generate());
    let release = Release::create_unsigned(Channel::Snapshot, "");
    expect_success(&release.notary("sign", Some(&KeyFile::new(&first))));
    let error = expect_failure(&release.notary("attest", Some(&KeyFile::new(&second))));
    assert!(error.contains("signed with another key"), "{error}");
}

#[test]
fn the_version_is_the_one_that_is_stamped_into_the_program() {
    test_support::identity::check_stamped_identity(env!("CARGO_BIN_EXE_notary").as_ref());
}
