// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Build programs never see the signing key: not in their environment, not in that of their parent
//! process, not in an argument.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{Answer, Fixture, path};

const KEY: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nkey-of-this-test\n";
const PASSWORD: &str = "password-of-this-test";

/// Runs `xtask lint` with a fake Cargo that records its environment, and environment and arguments
/// of its parent, as a build script could. Returns the record.
fn run_recorded(fixture: &Fixture, variables: &[(&str, &str)]) -> (Answer, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    let record = folder.path().join("record");
    let script = format!(
        "#!/bin/sh\n{{ echo CALL; env | sed 's/^/own:/'; tr '\\0' '\\n' < /proc/$PPID/environ; \
         tr '\\0' ' ' < /proc/$PPID/cmdline; }} >> {}\necho cargo 1.95.0\n",
        record.display()
    );
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let paths = path();
    let paths = [folder.path().to_owned()].into_iter().chain(std::env::split_paths(&paths));
    let mut command = fixture.command(&["lint"]);
    command.env("PATH", std::env::join_paths(paths).unwrap()).env_remove("COSIGN_PASSWORD");
    let answer = Answer(command.envs(variables.iter().copied()).output().unwrap());
    (answer, fs::read_to_string(record).ok())
}

#[test]
fn a_key_in_the_environment_is_refused_before_any_program_runs() {
    let fixture = Fixture::new();
    for variables in [&[("XTASK_SIGNING_KEY", KEY)][..], &[("COSIGN_PASSWORD", PASSWORD)]] {
        let (answer, record) = run_recorded(&fixture, variables);
        assert_eq!(answer.code(), 2, "{}", answer.err());
        assert!(answer.err().contains("fix: "), "{}", answer.err());
        assert!(!answer.err().contains("of-this-test"), "{}", answer.err());
        assert_eq!(record, None);
    }
}

#[test]
fn a_program_that_builds_finds_no_key_around_it() {
    let fixture = Fixture::new();
    let files = tempfile::tempdir().unwrap();
    let [key, password] = [("key", KEY), ("password", PASSWORD)].map(|(name, text)| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let variables = [("XTASK_SIGNING_KEY", key.as_str()), ("COSIGN_PASSWORD_FILE", &password)];
    let (answer, record) = run_recorded(&fixture, &variables);
    let record = record.unwrap_or_else(|| panic!("cargo did not run: {}", answer.err()));
    assert!(record.contains("CALL\n") && record.contains("own:PATH="), "{record}");
    assert!(!record.contains("of-this-test"), "{record}");
    let own = record.lines().filter(|line| line.starts_with("own:"));
    let named: Vec<_> = own.filter(|it| it.contains(&key) || it.contains("SIGNING")).collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn a_yank_reaches_the_page_with_the_name_of_the_registry_or_the_named_one() {
    let fixture = Fixture::new();
    let declared = "\n[engines]\nsignatures = \"native\"\n[registry.production]\naddress = \"127.0.0.1:9/p\"\n\
                    [assets.production]\ngithub = \"owner/name\"\n[assets.site]\nfolder = \"site\"\n";
    fixture.append("release.toml", declared);
    let pages = |more: &[&str]| {
        let yank = ["yank", "v1.4.0", "--reason", "x", "--registry", "production", "--by", "me"];
        let mut command = fixture.command(&[&yank[..], more, &["--dry-run"]].concat());
        let answer = Answer(command.env("XTASK_SIGNING_KEY", "/k.key").output().unwrap());
        assert_eq!(answer.code(), 0, "{}", answer.err());
        let lines = answer.out();
        let call = lines.lines().nth(1).unwrap_or_default();
        call.split_once("notary ").map(|(_, call)| call.to_owned()).unwrap_or_default()
    };
    let github = "github-release --yank v1.4.0 --repository owner/name --reason x --by me";
    assert_eq!(pages(&[]), github);
    let site = fixture.root().join("site");
    let folder = format!("release-page --yank v1.4.0 --to {} --reason x --by me", site.display());
    assert_eq!(pages(&["--pages", "site"]), folder);
}

#[test]
fn the_key_renews_the_records_of_production_alone() {
    let fixture = Fixture::new();
    let declared = "\n[engines]\nsignatures = \"native\"\n[registry.staging]\naddress = \"127.0.0.1:8/p\"\n\
                    [registry.production]\naddress = \"127.0.0.1:9/p\"\n";
    fixture.append("release.toml", declared);
    let registries = |arguments: &[&str]| {
        let mut command = fixture.command(&[&["ci"], arguments, &["--dry-run", "-v"]].concat());
        let answer = Answer(command.env("XTASK_SIGNING_KEY", "/k.key").output().unwrap());
        assert_eq!(answer.code(), 0, "{}", answer.err());
        ["127.0.0.1:8/p", "127.0.0.1:9/p"].map(|address| answer.out().contains(address))
    };
    assert_eq!(registries(&["nightly", "--part", "channels"]), [false, true]);
    assert_eq!(registries(&["nightly", "--part", "channels", "--to", "staging"]), [true, false]);
    assert_eq!(registries(&["retention"]), [true, true]);
}
