// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Log contents: events, but no secrets.

use std::fs;

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::api::{
    CONFIG, PASSWORD, SECRETS, prepare_folder, secret_of, send, server, start_job, wait_until,
};
use crate::support::{Process, serve};

#[test]
fn logs_are_json_and_hold_no_secret() {
    let folder = TempDir::new().unwrap();
    let password = "only-for-this-test";
    let hash = bcrypt::hash(password, 4).unwrap();
    fs::write(folder.path().join("users"), format!("ci:{hash}\n")).unwrap();
    let config = "[registry]\nhtpasswd = \"FOLDER/users\"\n\
                  [[registry.access]]\npush = [\"ci\"]\npull = [\"ci\"]\n";
    let process = Process::spawn(serve(folder.path(), config).args(["--log-format", "json"]));
    process.client.login("ci", password).push_image("a", "v1", "1");
    process.client.login("ci", "wrong-for-this-test").get("/v2/").expect(401);
    process.client.login("ci", password).get("/v2/_catalog?token=secret-in-a-query").expect(200);
    let log = process.kill();
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

/// No secret of a job is logged, at any level.
#[test]
fn a_job_leaves_no_secret_in_the_log() {
    let folder = prepare_folder();
    let config = format!("{CONFIG}boot_budget = \"1s\"\ncleanup_budget = \"1s\"\n");
    let process = Process::spawn(serve(folder.path(), &config).args(["--log-format", "json"]));
    let ops = process.client.login("ops", PASSWORD);
    // Nothing listens there: the BMC is retried until the budget is spent.
    let mut known = server();
    known["bmc_url"] = "http://127.0.0.1:1".into();
    send(&ops, "PUT", "/api/v1/servers/S1", &known).expect(201);
    let id = &start_job(&ops, "S1");
    let path = "/api/v1/status-webhook/S1";
    let body = format!(r#"{{"status":"failed","job_id":"{id}"}}"#);
    let report = |secret: &str| {
        process.client.send("POST", path, &[("x-webhook-secret", secret)], body.as_bytes())
    };
    report(&secret_of(id, 0)).expect(400);
    report(SECRETS[0]).expect(401);
    report("wrong-for-this-test").expect(401);
    process.client.bearer("token-for-this-test").get("/api/v1/jobs").expect(401);
    let done = wait_until(&ops, id, |job| job["status"] == "complete");
    assert_eq!(done["failed_step"], "redfish.discover");
    let log = process.kill();
    let of_job = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["span"]["job"] == *id && entry["span"]["serial"] == "S1");
    assert!(of_job.count() > 3, "{log}");
    // `Process` checks for secrets when it is dropped.
}
