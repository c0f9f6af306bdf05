// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Stored server data: destinations and encryption of passwords, and length limits.

use std::fs;
use std::path::Path;
use std::process::Command;

use mock_bmc::find_personality;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::api::{
    CONFIG, PASSWORD, booted_job, new_job, prepare_folder, send, server, service_and_operator,
    wait_until,
};
use crate::support::{BMC_PASSWORD, Client, Process, mock, serve};

const TIMES: &str =
    "[redfish]\npower_timeout = \"2s\"\npost_timeout = \"300ms\"\npoll = \"20ms\"\n";

/// Runs a job until its host has booted, then ends it.
fn run_job(ops: &Client) {
    let id = &booted_job(ops, "S1");
    ops.send("POST", &format!("/api/v1/jobs/{id}/cancel"), &[], b"").expect(202);
    wait_until(ops, id, |job| job["status"] == "complete");
}

#[test]
fn a_known_password_is_not_sent_to_another_destination() {
    let folder = prepare_folder();
    let runtime = Runtime::new().unwrap();
    let generic = find_personality("generic").unwrap();
    let (bmc, known) = mock(&runtime, generic);
    let (recorder, other) = mock(&runtime, generic);
    let process = Process::spawn(&mut serve(folder.path(), &format!("{CONFIG}{TIMES}")));
    let ops = process.client.login("ops", PASSWORD);
    let put = |server: &Value| send(&ops, "PUT", "/api/v1/servers/S1", server);
    put(&known).expect(201);
    let mut change = known;
    change.as_object_mut().unwrap().remove("password");
    put(&change).expect(200);
    for (field, value) in [
        ("bmc_url", json!(recorder.url())),
        ("bmc_url", json!(bmc.url().replace("http://", "https://"))),
        ("tls", json!({ "verify": "off" })),
    ] {
        let mut change = change.clone();
        change[field] = value;
        let problem = put(&change).expect_problem(400, "validation_error").json();
        let detail = &problem["details"][0];
        assert_eq!((&detail["path"], &detail["code"]), (&json!("/password"), &json!("required")));
        assert!(detail["message"].as_str().unwrap().contains("is required"), "{detail}");
    }
    run_job(&ops);
    assert!(!bmc.requests().is_empty());
    assert!(recorder.requests().is_empty(), "{:?}", recorder.requests());
    put(&other).expect(200);
}

/// Returns whether a file of the service contains the BMC password.
fn is_plain(folder: &Path) -> bool {
    let files = fs::read_dir(folder.join("data")).unwrap().map(|file| file.unwrap().path());
    let mut files = files.filter(|path| path.is_file());
    files.any(|path| {
        let content = fs::read(path).unwrap();
        content.windows(BMC_PASSWORD.len()).any(|bytes| bytes == BMC_PASSWORD.as_bytes())
    })
}

#[test]
fn passwords_are_encrypted_and_keys_are_rotated() {
    let folder = prepare_folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("first"), "1".repeat(48)).unwrap();
    fs::write(at("second"), "2".repeat(48)).unwrap();
    let runtime = Runtime::new().unwrap();
    let (_bmc, known) = mock(&runtime, find_personality("generic").unwrap());
    let config = format!("{CONFIG}{TIMES}");
    let risky = config.replace("[webhook]\n", "[webhook]\naccept_fleet_secret = true\n");
    let process = Process::spawn(&mut serve(folder.path(), &risky));
    let ops = process.client.login("ops", PASSWORD);
    send(&ops, "PUT", "/api/v1/servers/S1", &known).expect(201);
    assert!(is_plain(folder.path()));
    let log = process.kill();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.len() == 2 && warnings.iter().all(|it| it.contains("; fix: ")), "{log}");
    assert!(log.contains("BMC passwords are stored unencrypted"), "{log}");

    let works = |command: &mut Command| {
        let process = Process::spawn(command);
        run_job(&process.client.login("ops", PASSWORD));
        assert!(!is_plain(folder.path()));
        process.kill()
    };
    let with = |storage: &str| serve(folder.path(), &format!("[storage]\n{storage}\n{config}"));
    works(&mut with("key = \"FOLDER/first\""));
    // With a wrong or missing key, nothing is lost.
    for (wrong, message) in
        [("key = \"FOLDER/second\"", "configured keys are"), ("", "no storage.key is configured")]
    {
        let output = with(wrong).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        for expected in ["server S1: it is encrypted with key", message, "fix: "] {
            assert!(error.contains(expected), "{error}");
        }
    }
    works(&mut with("key = \"FOLDER/second\"\nold_keys = [\"FOLDER/first\"]"));
    works(&mut with("key = \"FOLDER/second\""));
    // As systemd passes credentials.
    fs::create_dir(at("credentials")).unwrap();
    fs::copy(at("second"), at("credentials/storage.key")).unwrap();
    let log = works(with("").env("CREDENTIALS_DIRECTORY", at("credentials")));
    assert!(!log.contains("unencrypted"));
}

#[test]
fn a_key_that_is_too_short_is_a_fault_of_the_configuration() {
    let folder = prepare_folder();
    fs::write(folder.path().join("short"), "x").unwrap();
    for (storage, expected) in [
        ("key = \"FOLDER/short\"", "at least 32 bytes"),
        ("key = \"FOLDER/absent\"", "storage.key"),
        ("old_keys = [\"FOLDER/token-key\"]", "storage.old_keys needs storage.key"),
    ] {
        let output = serve(folder.path(), &format!("[storage]\n{storage}\n{CONFIG}")).output();
        let output = output.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn texts_have_a_limit() {
    let (_service, ops) = service_and_operator();
    let path = |length| format!("/api/v1/servers/{}", "S".repeat(length));
    send(&ops, "PUT", &path(255), &server()).expect(201);
    send(&ops, "PUT", &path(256), &server()).expect_problem(400, "bad_request");
    let job = send(&ops, "POST", "/api/v1/jobs", &new_job(&"S".repeat(4 << 20)));
    assert!(job.expect_problem(400, "bad_request").body.len() < 1024);
    let mut long = server();
    long["bmc_url"] = json!(format!("https://bmc.example/{}", "x".repeat(3000)));
    long["labels"] = json!({ "site": "x".repeat(64) });
    let problem = send(&ops, "PUT", "/api/v1/servers/S1", &long);
    let problem = problem.expect_problem(400, "validation_error").json();
    assert_eq!(problem["details"].as_array().unwrap().len(), 2, "{problem}");
}

#[test]
fn a_server_has_labels_and_records_who_changed_it() {
    let (_service, ops) = service_and_operator();
    let mut labelled = server();
    labelled["labels"] = json!({ "site": "berlin" });
    let made = send(&ops, "PUT", "/api/v1/servers/S1", &labelled).expect(201).json();
    assert_eq!((&made["created_by"], &made["updated_by"]), (&json!("ops"), &json!("ops")));
    // Omitted labels are kept.
    let kept = send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(200).json();
    assert_eq!(kept["labels"], labelled["labels"]);
    labelled["labels"] = json!({});
    let none = send(&ops, "PUT", "/api/v1/servers/S1", &labelled).expect(200).json();
    assert_eq!(none["labels"], json!({}));
}
