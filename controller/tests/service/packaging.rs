// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks packaging files with the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use controller::config::{Config, Overrides};

fn packaging_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

#[test]
fn the_example_configuration_holds_the_defaults() {
    let example =
        Config::load(Some(&packaging_file("controller.example.toml")), Overrides::default());
    assert_eq!(format!("{:#?}", example.unwrap()), format!("{:#?}", Config::default()));
}

/// Commented-out examples are valid, too.
#[test]
fn the_example_configuration_is_good_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let htpasswd = folder.path().join("htpasswd");
    // The user `ci` with the password "example".
    let hash = "$2y$05$Xq8kC3lYtQq1Xy3t0Jq5cuWl5p0dQ8n0C8r3qv2kZ0m3bq9k3d1yG";
    fs::write(&htpasswd, format!("ci:{hash}\n")).unwrap();
    let text = fs::read_to_string(packaging_file("controller.example.toml")).unwrap();
    let full: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.contains(" = ") => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let full = full.replace("/etc/provisioner", folder.path().to_str().unwrap());
    fs::copy(&htpasswd, folder.path().join("api-users")).unwrap();
    for key in ["token-key", "storage-key", "revoked-tokens"] {
        fs::write(folder.path().join(key), "k".repeat(48)).unwrap();
    }
    let Some(openssl) = test_support::find("openssl") else { return };
    let run = |arguments: &[&str]| {
        let ran = Command::new(&openssl).args(arguments).current_dir(folder.path()).output();
        assert!(ran.unwrap().status.success(), "openssl {arguments:?}");
    };
    let key = ["genpkey", "-algorithm", "ed25519", "-out", "task-key.pem"];
    let certificate = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let files = ["-nodes", "-subj", "/CN=x", "-keyout", "tls-key.pem", "-out", "tls.pem"];
    run(&key);
    run(&[&certificate[..], &files[..]].concat());
    for ca in ["ca.pem", "hosts-ca.pem"] {
        fs::copy(folder.path().join("tls.pem"), folder.path().join(ca)).unwrap();
    }
    let file = folder.path().join("controller.toml");
    fs::write(&file, full).unwrap();
    let config = Config::load(Some(&file), Overrides::default()).unwrap();
    assert_eq!(config.registry.rules.access.len(), 1);
    assert_eq!(config.registry.rules.immutable.len(), 1);
    assert_eq!(config.registry.gc.retention.len(), 1);
    assert!(config.storage_keys.read().unwrap().current_id().is_some());
    assert!(config.api.users.is_some() && config.api.token_key.is_some());
    assert!(config.jobs.url.is_some() && config.jobs.signing_key.is_some());
    assert!(config.jobs.read_ca().unwrap().is_some());
    assert!(config.tls.is_some_and(|tls| tls.client_ca.is_some()));
}

#[test]
fn systemd_reports_no_warnings_about_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("controller.service");
    let text = fs::read_to_string(packaging_file("controller.service")).unwrap();
    // The binary is not installed at the unit's path.
    let binary = env!("CARGO_BIN_EXE_controller");
    fs::write(&unit, text.replace("/usr/local/bin/controller", binary)).unwrap();
    let Some(analyze) = test_support::find("systemd-analyze") else { return };
    let verify = Command::new(analyze).arg("verify").arg(&unit).output().unwrap();
    let stderr = String::from_utf8_lossy(&verify.stderr);
    // It exits with 0 even on a parse error. Messages about other units do not matter.
    let ours: Vec<_> = stderr.lines().filter(|line| line.contains("controller.service")).collect();
    assert!(verify.status.success() && ours.is_empty(), "{stderr}");
}

#[test]
fn the_program_writes_a_page_for_each_command_and_completions_that_a_shell_reads() {
    let folder = tempfile::tempdir().unwrap();
    let write = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_controller"));
        assert!(command.arg("packaging").arg(folder.path()).status().unwrap().success());
    };
    write();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let page = read("man/controller.1");
    for command in ["serve", "config", "api", "jobs", "servers", "registry", "verify-release"] {
        assert!(page.contains(&command.replace('-', "\\-")), "{command}: {page}");
        assert!(read(&format!("man/controller-{command}.1")).contains(".SH OPTIONS"), "{command}");
    }
    assert!(!page.contains("packaging"), "{page}");
    assert!(read("man/controller-serve.1").contains("to this file, as http"));
    assert!(read("completions/_controller").starts_with("#compdef controller"));
    assert!(read("completions/controller.fish").contains("verify-release"));
    let bash = folder.path().join("completions/controller.bash");
    assert!(Command::new("bash").arg("-n").arg(&bash).status().unwrap().success());
    // The same program writes identical files.
    write();
    assert_eq!(read("man/controller.1"), page);
}

#[test]
fn the_version_is_the_one_that_is_stamped_into_the_program() {
    test_support::identity::check_stamped_identity(env!("CARGO_BIN_EXE_controller").as_ref());
}
