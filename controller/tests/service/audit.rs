// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Audit log, roles and reloading.

use std::fs;
use std::time::Duration;

use controller::api::auth::{Grant, Role, TokenKey};
use serde_json::{Value, json};

use crate::api::{
    CONFIG, PASSWORD, booted_job, new_job, prepare_folder, send, server, service_with,
    service_with_server, wait_until,
};
use crate::support::{Process, Reply, serve};

#[test]
fn changes_and_refusals_are_recorded_without_secrets() {
    let (service, ops) = service_with_server();
    send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(200);
    let id = &booted_job(&ops, "S1");
    ops.send("POST", &format!("/api/v1/jobs/{id}/cancel"), &[], b"").expect(202);
    wait_until(&ops, id, |job| job["status"] == "complete");
    ops.delete("/api/v1/servers/S1").expect(204);
    service.push_image("tools/a", "v1", "1");
    service.delete("/v2/tools/a/manifests/v1").expect(202);
    service.login("ops", "wrong-for-this-test").get("/api/v1/jobs").expect(401);
    let look = service.login("look", PASSWORD);
    look.delete("/api/v1/servers/S1").expect_problem(403, "forbidden");

    for refused in [&service.client, &look, &ops] {
        assert!(matches!(refused.get("/api/v1/audit").status, 401 | 403));
    }
    let chief = service.login("chief", PASSWORD);
    // Refusals are written asynchronously.
    let written = |answer: &Reply| answer.json()["entries"].as_array().unwrap().len() >= 10;
    let mut answer = chief.get("/api/v1/audit").expect(200);
    while !written(&answer) {
        std::thread::sleep(Duration::from_millis(5));
        answer = chief.get("/api/v1/audit").expect(200);
    }
    for secret in ["wrong-for-this-test", "of-the-bmc-itself", PASSWORD, "what-only-the-machine"] {
        assert!(!answer.text().contains(secret), "{secret}");
    }
    let answer = answer.json();
    let seen: Vec<String> = answer["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|e| format!("{} {} {}", e["actor"], e["action"], e["object"]).replace('"', ""))
        .collect();
    let expected = [
        "ops server.create S1".to_owned(),
        "ops server.update S1".to_owned(),
        format!("ops job.create {id}"),
        format!("ops job.cancel {id}"),
        "ops server.delete S1".to_owned(),
        "null registry.delete tools/a:v1".to_owned(),
        "ops login api".to_owned(),
        "look request /api/v1/servers/S1".to_owned(),
        "look request /api/v1/audit".to_owned(),
        "ops request /api/v1/audit".to_owned(),
    ];
    assert_eq!(seen, expected);
    let page = chief.get("/api/v1/audit?limit=2").expect(200).json();
    let before = page["next_before"].as_i64().unwrap();
    let next = chief.get(&format!("/api/v1/audit?limit=2&before={before}")).expect(200).json();
    assert_eq!(next["entries"][0], answer["entries"][2]);
}

const GROUPS: &str = "\
[[api.group]]
name = \"berlin\"
labels = [\"site=berlin\"]
users = [\"ops\"]
[webhook]
";

fn labelled_server(site: &str) -> Value {
    let mut server = server();
    server["labels"] = json!({ "site": site });
    server
}

#[test]
fn a_group_user_sees_and_changes_only_its_servers() {
    let service = service_with(&CONFIG.replace("[webhook]\n", GROUPS));
    let chief = service.login("chief", PASSWORD);
    send(&chief, "PUT", "/api/v1/servers/B1", &labelled_server("berlin")).expect(201);
    send(&chief, "PUT", "/api/v1/servers/R1", &labelled_server("rome")).expect(201);
    let rome = send(&chief, "POST", "/api/v1/jobs", &new_job("R1")).expect(202).json();
    let key = TokenKey::new(&"k".repeat(48)).unwrap();
    let grant = |groups: &[&str], role| Grant {
        subject: "ci".to_owned(),
        role,
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
    };
    let token = |grant| key.issue_grant(grant, Duration::from_mins(1)).token;
    let limited = service.bearer(&token(grant(&["berlin"], Role::Operator)));
    for client in [service.login("ops", PASSWORD), limited] {
        let seen = client.get("/api/v1/servers").expect(200).json();
        assert_eq!(seen["servers"].as_array().unwrap().len(), 1, "{seen}");
        client.get("/api/v1/servers/R1").expect_problem(404, "server_unknown");
        send(&client, "PUT", "/api/v1/servers/R1", &labelled_server("berlin"))
            .expect_problem(403, "forbidden");
        send(&client, "PUT", "/api/v1/servers/B1", &labelled_server("rome"))
            .expect_problem(403, "forbidden");
        send(&client, "PUT", "/api/v1/servers/N1", &server()).expect_problem(403, "forbidden");
        client.delete("/api/v1/servers/R1").expect_problem(404, "server_unknown");
        send(&client, "POST", "/api/v1/jobs", &new_job("R1")).expect_problem(404, "server_unknown");
        let job = format!("/api/v1/jobs/{}", rome["job_id"].as_str().unwrap());
        client.get(&job).expect_problem(404, "job_unknown");
        client.send("POST", &format!("{job}/cancel"), &[], b"").expect_problem(404, "job_unknown");
        assert_eq!(client.get("/api/v1/jobs").expect(200).json()["jobs"], json!([]));
        assert!(!client.get("/").expect(200).text().contains("R1"));
        send(&client, "PUT", "/api/v1/servers/B1", &labelled_server("berlin")).expect(200);
    }
    // The refused change was rolled back.
    let kept = chief.get("/api/v1/servers/B1").expect(200).json();
    assert_eq!(kept["labels"]["site"], "berlin");
    chief.get("/api/v1/servers/N1").expect(404);
    let nowhere = service.bearer(&token(grant(&["absent"], Role::Operator)));
    assert_eq!(nowhere.get("/api/v1/servers").expect(200).json()["servers"], json!([]));
    let contradiction = service.bearer(&token(grant(&["berlin"], Role::Admin)));
    contradiction.get("/api/v1/servers").expect(401);
}

#[test]
fn users_and_revoked_tokens_are_read_again() {
    let folder = prepare_folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("revoked"), "").unwrap();
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    fs::write(at("htpasswd"), format!("ci:{hash}\n")).unwrap();
    let config = CONFIG.replace("[webhook]\n", "revoked_tokens = \"FOLDER/revoked\"\n[webhook]\n");
    let config = format!("{config}[registry]\nhtpasswd = \"FOLDER/htpasswd\"\n");
    let process = Process::spawn(&mut serve(folder.path(), &config));
    let key = TokenKey::new(&"k".repeat(48)).unwrap();
    let grant = Grant { subject: "ci".to_owned(), role: Role::Reader, groups: Vec::new() };
    let issued = key.issue_grant(grant, Duration::from_mins(5));
    let token = process.client.bearer(&issued.token);
    token.get("/api/v1/servers").expect(200);
    process.client.login("new", PASSWORD).get("/api/v1/servers").expect(401);
    let users = fs::read_to_string(at("users")).unwrap();
    fs::write(at("users"), format!("{users}new:{hash}\n")).unwrap();
    fs::write(at("htpasswd"), format!("ci:{hash}\nnew:{hash}\n")).unwrap();
    fs::write(at("revoked"), format!("# lost\n{}  # of ci\n", issued.id)).unwrap();
    let hang_up = |expected: &str| {
        let count = || process.read_log().matches(expected).count();
        let before = count();
        process.hang_up();
        let done = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            count() > before
        });
        assert!(done, "{expected}");
    };
    hang_up("reloaded users, tokens and certificates");
    token.get("/api/v1/servers").expect(401);
    process.client.login("new", PASSWORD).get("/api/v1/servers").expect(200);
    process.client.login("new", PASSWORD).get("/v2/").expect(200);
    // An invalid file changes nothing, and its error is logged.
    fs::write(at("users"), "no colon\n").unwrap();
    fs::write(at("revoked"), "").unwrap();
    hang_up("reload failed");
    assert!(process.read_log().contains("api.users"));
    token.get("/api/v1/servers").expect(401);
    process.client.login("new", PASSWORD).get("/api/v1/servers").expect(200);
}
