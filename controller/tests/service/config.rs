// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller config check` and the example configuration.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::support::controller;

fn check(file: &Path) -> Output {
    controller(&["config", "check", "--config"]).arg(file).output().unwrap()
}

#[test]
fn the_example_is_good() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/controller.example.toml");
    let output = check(&example);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/controller.example.toml");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = controller(&["config", "check", "--config"]);
    let output = command.arg(example).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write to standard output: No space left"), "{stderr}");
}

#[test]
fn every_fault_is_reported_with_the_usage_exit_code() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("c.toml");
    fs::write(&file, "[server]\nlisten = 1\nport = 2\n[log]\nlevel = \"no=such=level\"\n").unwrap();
    let output = check(&file);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    for expected in ["c.toml:2:10: server.listen", "c.toml:3:1: server.port", "log.level is"] {
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(output.stdout.is_empty());
    let missing = check(&folder.path().join("absent.toml"));
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("absent.toml"));
}

#[test]
fn serve_refuses_a_bad_configuration() {
    let output = controller(&["serve", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[[registry.access]]"));
}
