// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Logs tell what was done, and no secret.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::Process;

#[test]
fn logs_are_json_and_hold_no_secret() {
    let folder = TempDir::new().unwrap();
    let password = "only-for-this-test";
    let hash = bcrypt::hash(password, 4).unwrap();
    fs::write(folder.path().join("users"), format!("ci:{hash}\n")).unwrap();
    let config = folder.path().join("c.toml");
    let users = folder.path().join("users");
    fs::write(
        &config,
        format!("[registry]\nhtpasswd = {users:?}\n[[registry.access]]\npush = [\"ci\"]\npull = [\"ci\"]\n"),
    )
    .unwrap();
    let mut process = Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_controller"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log-level", "trace", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .stderr(Stdio::piped()),
    );
    let mut stderr = process.child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    process.client.login("ci", password).push_image("a", "v1", "1");
    process.client.login("ci", "wrong-for-this-test").get("/v2/").expect(401);
    process.client.login("ci", password).get("/v2/_catalog?token=secret-in-a-query").expect(200);
    process.kill();
    let log = reading.join().unwrap();
    let requests: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["message"] == "request")
        .collect();
    assert!(
        requests
            .iter()
            .any(|entry| entry["path"] == "/v2/a/manifests/v1" && entry["status"] == 201)
    );
    let header = base64::prelude::BASE64_STANDARD.encode(format!("ci:{password}"));
    for secret in [password, "wrong-for-this-test", "secret-in-a-query", &hash, &header] {
        assert!(!log.contains(secret), "{secret}");
    }
}
