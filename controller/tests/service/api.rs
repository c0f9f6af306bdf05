// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The API, tested with a client.

use std::time::Duration;

use controller::api::auth::{Role, TokenKey};
use controller::jobs::bmc::Secret;
use controller::jobs::report_secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Reply, Service};

pub(crate) const PASSWORD: &str = "only-for-these-tests";
pub(crate) const SECRETS: [&str; 2] = ["the-old-secret-of-tests", "the-new-secret-of-tests"];

pub(crate) const CONFIG: &str = "\
[api]
users = \"FOLDER/users\"
readers = [\"look\"]
admins = [\"chief\"]
token_key = \"FOLDER/token-key\"
requests_per_second = 1000
[webhook]
secrets = [\"FOLDER/secret-0\", \"FOLDER/secret-1\"]
[jobs]
url = \"http://127.0.0.1:1\"
";

/// Creates a folder with the files named by [`CONFIG`].
pub(crate) fn prepare_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    write("users", &format!("ops:{hash}\nlook:{hash}\nchief:{hash}\n"));
    write("token-key", &format!("{}\n", "k".repeat(48)));
    for (number, secret) in SECRETS.iter().enumerate() {
        write(&format!("secret-{number}"), &format!("{secret}\n"));
    }
    write("data/media/static/maintenance.iso", "not really an image");
    folder
}

/// Returns an `Authorization` value.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let login = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {login}")
}

pub(crate) fn service() -> Service {
    service_with(CONFIG)
}

/// A service with another configuration.
pub(crate) fn service_with(config: &str) -> Service {
    Service::start_in(prepare_folder(), config)
}

/// A service with the server `S1`, and the client of an operator.
pub(crate) fn service_with_server() -> (Service, Client) {
    let (service, ops) = service_and_operator();
    send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(201);
    (service, ops)
}

/// A service, and the client of an operator.
pub(crate) fn service_and_operator() -> (Service, Client) {
    let service = service();
    let ops = service.login("ops", PASSWORD);
    (service, ops)
}

pub(crate) fn send(client: &Client, method: &str, path: &str, body: &Value) -> Reply {
    client.send(method, path, &[], body.to_string().as_bytes())
}

pub(crate) fn server() -> Value {
    json!({ "bmc_url": "https://bmc.example", "username": "admin", "password": "of-the-bmc-itself" })
}

pub(crate) fn recipe() -> Value {
    json!({
        "task_target": "install-linux.target",
        "target_disk": "/dev/sda",
        "oci_url": "registry.example/os/debian:13",
        "partition_layout": [{ "size": "100%", "type_guid": "8300", "format": "ext4" }],
        "user_data": "what-only-the-machine-may-see",
    })
}

pub(crate) fn new_job(serial: &str) -> Value {
    json!({ "server_serial": serial, "recipe": recipe() })
}

/// Creates a job for a server. Returns its id.
#[track_caller]
pub(crate) fn start_job(client: &Client, serial: &str) -> String {
    let job = send(client, "POST", "/api/v1/jobs", &new_job(serial)).expect(202).json();
    job["job_id"].as_str().unwrap().to_owned()
}

/// Like `create`, for a host that was booted.
#[track_caller]
pub(crate) fn booted_job(client: &Client, serial: &str) -> String {
    let id = start_job(client, serial);
    wait_until(client, &id, |job| job["step"] == "webhook.wait");
    id
}

/// Returns the secret of a job, derived from the fleet secret of that number.
pub(crate) fn secret_of(job: &str, fleet: usize) -> String {
    let secret = Secret::new(SECRETS[fleet]);
    report_secret::derive(&secret, job.parse().unwrap()).unwrap().expose().to_owned()
}

fn report(service: &Service, serial: &str, secret: &str, body: &Value) -> Reply {
    let path = format!("/api/v1/status-webhook/{serial}");
    let headers = [("x-webhook-secret", secret)];
    service.send("POST", &path, &headers, body.to_string().as_bytes())
}

/// Waits until a job meets `done`.
#[track_caller]
pub(crate) fn wait_until(client: &Client, id: &str, done: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..5000 {
        let job = client.get(&format!("/api/v1/jobs/{id}")).expect(200).json();
        if done(&job) {
            return job;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{:#}", client.get(&format!("/api/v1/jobs/{id}")).json());
}

#[test]
fn a_job_from_the_first_request_to_the_last_event() {
    let (service, ops) = service_and_operator();
    send(&ops, "PUT", "/api/v1/servers/S%201", &server()).expect(201);
    let made = send(&ops, "POST", "/api/v1/jobs", &new_job("S 1")).expect(202);
    let job = made.json();
    let id = job["job_id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/api/v1/jobs/{id}"));
    wait_until(&ops, id, |job| job["step"] == "webhook.wait");
    let conflict = send(&ops, "POST", "/api/v1/jobs", &new_job("S 1"));
    let conflict = conflict.expect_problem(409, "active_job").json();
    assert_eq!(
        (&conflict["job_id"], &conflict["step"]),
        (&json!(id), &json!("conflict.active_job"))
    );
    ops.delete("/api/v1/servers/S%201").expect_problem(409, "active_job");

    let success = json!({ "status": "success", "delivery_id": "1", "job_id": id });
    let taken = report(&service, "S%201", &secret_of(id, 1), &success).expect(200).json();
    assert_eq!(taken["result"], "recorded");
    let again = report(&service, "S%201", &secret_of(id, 0), &success).expect(200).json();
    assert_eq!(again["result"], "duplicate");
    let done = wait_until(&ops, id, |job| job["status"] == "complete");
    assert_eq!(done["outcome"], "succeeded");
    let kinds: Vec<&str> =
        done["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"state.queued"), Some(&"state.complete")));
    let late = json!({ "status": "failed", "failed_step": "late.service", "job_id": id });
    let late = report(&service, "S%201", &secret_of(id, 0), &late).expect(200).json();
    assert_eq!(late["result"], "ended");

    let listed = ops.get("/api/v1/jobs?server_serial=S+1&status=complete").expect(200).json();
    assert_eq!(listed["jobs"][0]["job_id"], id);
    ops.delete("/api/v1/servers/S%201").expect(204);
    ops.get("/api/v1/servers/S%201").expect_problem(404, "server_unknown");
}

/// Access to one host reveals the secret of its job, and the fleet secret may have leaked.
#[test]
fn no_host_can_end_the_job_of_another() {
    let (service, ops) = service_and_operator();
    let [mine, victim] = ["S1", "S2"].map(|serial| {
        send(&ops, "PUT", &format!("/api/v1/servers/{serial}"), &server()).expect(201);
        start_job(&ops, serial)
    });
    wait_until(&ops, &victim, |job| job["step"] == "webhook.wait");
    let mut of_victim = json!({ "status": "success", "job_id": victim });
    for secret in [secret_of(&mine, 0), secret_of(&mine, 1), SECRETS[0].into(), SECRETS[1].into()] {
        report(&service, "S2", &secret, &of_victim).expect_problem(401, "unauthorized");
        report(&service, "S2", &secret, &json!({ "status": "success" }))
            .expect_problem(401, "unauthorized");
    }
    // The own job does not belong to the victim.
    let of_mine = json!({ "status": "success", "job_id": mine });
    report(&service, "S2", &secret_of(&mine, 0), &of_mine).expect_problem(404, "job_unknown");
    assert_eq!(wait_until(&ops, &victim, |_| true)["status"], "provisioning");
    of_victim["delivery_id"] = json!("d");
    report(&service, "S2", &secret_of(&victim, 0), &of_victim).expect(200);
    wait_until(&ops, &victim, |job| job["outcome"] == "succeeded");
}

#[test]
fn the_fleets_secret_is_accepted_where_a_site_sets_that() {
    let config = CONFIG.replace("[webhook]\n", "[webhook]\naccept_fleet_secret = true\n");
    let service = service_with(&config);
    let ops = service.login("ops", PASSWORD);
    send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(201);
    let id = &booted_job(&ops, "S1");
    let without_job = json!({ "status": "success" });
    report(&service, "S1", SECRETS[0], &without_job).expect_problem(400, "bad_request");
    let success = json!({ "status": "success", "job_id": id });
    report(&service, "S1", SECRETS[1], &success).expect(200);
}

#[test]
fn every_fault_of_a_recipe_is_reported() {
    let (_service, ops) = service_and_operator();
    let mut new = new_job("S1");
    new["recipe"]["target_disk"] = json!("/dev/../sda");
    new["recipe"]["partition_layout"][0]["size"] = json!("1 GB");
    let problem = send(&ops, "POST", "/api/v1/jobs", &new).expect_problem(400, "validation_error");
    let problem = problem.json();
    let places: Vec<&str> = problem["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["path"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["/partition_layout/0/size", "/target_disk"]);
    assert_eq!(problem["step"], "validation.schema");
    // Duplicate fields are only visible in the text as sent.
    let twice =
        new_job("S1").to_string().replace("\"recipe\":{", "\"recipe\":{\"task_target\":\"x\",");
    let twice = ops.send("POST", "/api/v1/jobs", &[], twice.as_bytes());
    twice.expect_problem(400, "validation_error");
    send(&ops, "POST", "/api/v1/jobs", &new_job("S1")).expect_problem(404, "server_unknown");
    for bad in ["", "{", "[]", "{\"server_serial\":\"S1\"}"] {
        ops.send("POST", "/api/v1/jobs", &[], bad.as_bytes()).expect_problem(400, "bad_request");
    }
    let large = " ".repeat(7 * 1024 * 1024);
    ops.send("POST", "/api/v1/jobs", &[], large.as_bytes()).expect_problem(413, "too_large");
}

#[test]
fn bad_input_is_answered_with_its_place_and_what_is_expected() {
    let (service, ops) = service_and_operator();
    for (path, expected) in [
        ("/api/v1/jobs?limit=0", "query: limit: expected 1 to 500"),
        ("/api/v1/servers?limit=many", "query: limit: expected 1 to 1000"),
        (
            "/api/v1/jobs?status=odd",
            "query: status: expected queued, provisioning, succeeded, failed or complete",
        ),
        ("/api/v1/jobs?before=ABC", "query: before: expected a UUID in lower case"),
        ("/api/v1/jobs?order=up", "unknown field `order`, expected one of `server_serial`,"),
        ("/api/v1/jobs?limit=1&limit=2", "duplicate field `limit`"),
        ("/api/v1/servers?after=%ff", "query: expected UTF-8"),
        ("/api/v1/servers/%ff", "path: Invalid UTF-8 in `serial`"),
    ] {
        // Unauthenticated clients get no details.
        service.get(path).expect_problem(401, "unauthorized");
        let problem = ops.get(path).expect_problem(400, "bad_request").json();
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(expected), "{path}: {message}");
    }
    let problem = ops.get("/api/v1/jobs/ABC").expect_problem(404, "job_unknown").json();
    assert!(problem["message"].as_str().unwrap().contains("expected a UUID in lower case"));
}

#[test]
fn a_repeated_request_is_answered_with_the_first_job() {
    let (_service, ops) = service_with_server();
    let post = |key: &str, body: &Value| {
        let headers = [("idempotency-key", key)];
        ops.send("POST", "/api/v1/jobs", &headers, body.to_string().as_bytes())
    };
    let first = post("k", &new_job("S1")).expect(202).json();
    let again = post("k", &new_job("S1")).expect(202).json();
    assert_eq!(again["job_id"], first["job_id"]);
    post("k", &new_job("S2")).expect_problem(422, "idempotency_key_reused");
    post("", &new_job("S1")).expect_problem(400, "bad_request");
}

#[test]
fn probable_mistakes_of_a_recipe_are_in_the_answer_and_in_the_events() {
    let (_service, ops) = service_with_server();
    let mut new = new_job("S1");
    new["recipe"]["oci_url"] = json!("debian:13");
    let made = send(&ops, "POST", "/api/v1/jobs", &new).expect(202).json();
    let warnings = |job: &Value| {
        let events = job["events"].as_array().unwrap().iter();
        let warnings = events.filter(|event| event["kind"] == "warning");
        warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = "/oci_url: names no registry, and there is no default one (no-registry)";
    assert!(warnings(&made).iter().any(|warning| warning == expected), "{made:#}");
    let path = format!("/api/v1/jobs/{}", made["job_id"].as_str().unwrap());
    assert_eq!(warnings(&ops.get(&path).expect(200).json()), warnings(&made));
}

#[test]
fn a_job_is_cancelled_and_repeated() {
    let (_service, ops) = service_with_server();
    let job = send(&ops, "POST", "/api/v1/jobs", &new_job("S1")).expect(202).json();
    let id = job["job_id"].as_str().unwrap();
    wait_until(&ops, id, |job| job["step"] == "webhook.wait");
    let retry = format!("/api/v1/jobs/{id}/retry");
    ops.send("POST", &retry, &[], b"").expect_problem(409, "job_state");
    let cancel = format!("/api/v1/jobs/{id}/cancel");
    ops.send("POST", &cancel, &[], b"").expect(202);
    let done = wait_until(&ops, id, |job| job["status"] == "complete");
    assert_eq!(
        (&done["failed_step"], &done["failure"]),
        (&json!("webhook.wait"), &json!("cancelled"))
    );
    ops.send("POST", &cancel, &[], b"").expect_problem(409, "job_state");
    let second = ops.send("POST", &retry, &[], b"").expect(202).json();
    assert_eq!(
        (&second["retry_of"], &second["recipe_sha256"]),
        (&json!(id), &job["recipe_sha256"])
    );
}

#[test]
fn a_password_of_a_bmc_goes_in_and_never_comes_out() {
    let (_service, ops) = service_and_operator();
    let made = send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(201);
    let mut change = server();
    change["tls"] = json!({ "verify": "pin", "sha256": "a".repeat(64) });
    let changed = send(&ops, "PUT", "/api/v1/servers/S1", &change).expect(200);
    change.as_object_mut().unwrap().remove("password");
    send(&ops, "PUT", "/api/v1/servers/S1", &change).expect(200);
    assert_eq!(changed.json()["tls"]["verify"], "pin");
    let listed = ops.get("/api/v1/servers").expect(200);
    for reply in [made, changed, ops.get("/api/v1/servers/S1"), listed] {
        assert!(!reply.text().contains("of-the-bmc-itself"), "{}", reply.text());
    }
    // A new server needs a password.
    let problem = send(&ops, "PUT", "/api/v1/servers/S2", &change);
    problem.expect_problem(400, "validation_error");
    let bad = json!({ "bmc_url": "bmc", "username": "", "profile": "x", "tls": { "verify": "pin", "sha256": "a" } });
    let problem =
        send(&ops, "PUT", "/api/v1/servers/S2", &bad).expect_problem(400, "validation_error");
    assert_eq!(problem.json()["details"].as_array().unwrap().len(), 4);
    send(&ops, "PUT", "/api/v1/servers/%0a", &server()).expect_problem(400, "bad_request");
}

#[test]
fn the_network_of_a_host_is_kept_and_is_on_its_task_iso() {
    let (service, ops) = service_and_operator();
    let put = |network: Option<Value>| {
        let mut body = server();
        if let Some(network) = network {
            body["network"] = network;
        }
        send(&ops, "PUT", "/api/v1/servers/S1", &body)
    };
    assert_eq!(put(None).expect(201).json()["network"], Value::Null);
    let network = json!({
        "ports": [{ "mac": "00:53:00:12:34:56" }],
        "addresses": ["192.0.2.77/24"],
        "gateways": ["192.0.2.1"],
    });
    assert_eq!(put(Some(network.clone())).expect(200).json()["network"], network);
    // Without a network in the request, the stored one is kept.
    assert_eq!(put(None).expect(200).json()["network"], network);
    let mut wrong = network.clone();
    wrong["gateways"] = json!(["198.51.100.1"]);
    wrong["vlan"] = json!(4095);
    let problem = put(Some(wrong)).expect_problem(400, "validation_error").json();
    let places: Vec<_> =
        problem["details"].as_array().unwrap().iter().map(|it| &it["path"]).collect();
    assert_eq!(places, ["/network/gateways/0", "/network/vlan"]);
    assert_eq!(ops.get("/api/v1/servers/S1").expect(200).json()["network"], network);

    let iso = |job: &str| {
        let path = service.folder().join(format!("data/media/tasks/{job}/task.iso"));
        std::fs::read(path).unwrap()
    };
    // The schema on the ISO has another address as an example.
    let has_address = |iso: &[u8]| iso.windows(13).any(|bytes| bytes == b"192.0.2.77/24");
    let id = booted_job(&ops, "S1");
    assert!(has_address(&iso(&id)));
    ops.send("POST", &format!("/api/v1/jobs/{id}/cancel"), &[], b"").expect(202);
    wait_until(&ops, &id, |job| job["status"] == "complete");
    assert_eq!(put(Some(Value::Null)).expect(200).json()["network"], Value::Null);
    assert!(!has_address(&iso(&booted_job(&ops, "S1"))));
}

#[test]
fn who_may_do_what() {
    let service = service();
    let (nobody, look) = (&service.client, service.login("look", PASSWORD));
    nobody.get("/api/v1/jobs").expect_problem(401, "unauthorized").header("www-authenticate");
    service.login("ops", "wrong").get("/api/v1/jobs").expect_problem(401, "unauthorized");
    look.get("/api/v1/jobs").expect(200);
    send(&look, "PUT", "/api/v1/servers/S1", &server()).expect_problem(403, "forbidden");
    send(&look, "POST", "/api/v1/jobs", &new_job("S1")).expect_problem(403, "forbidden");
    let key = TokenKey::new(&"k".repeat(48)).unwrap();
    let token = |role| key.issue("ci", role, Duration::from_mins(1));
    let operator = nobody.bearer(&token(Role::Operator));
    send(&operator, "PUT", "/api/v1/servers/S1", &server()).expect(201);
    let reader = nobody.bearer(&token(Role::Reader));
    reader.get("/api/v1/servers/S1").expect(200);
    reader.delete("/api/v1/servers/S1").expect_problem(403, "forbidden");
    nobody.bearer("a.b.c").get("/api/v1/jobs").expect_problem(401, "unauthorized");
    let success = json!({ "status": "success" });
    report(&service, "S1", "wrong", &success).expect_problem(401, "unauthorized");
    send(nobody, "POST", "/api/v1/status-webhook/S1", &success).expect_problem(401, "unauthorized");
    report(&service, "S1", SECRETS[0], &success).expect_problem(401, "unauthorized");
    let id = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let of_none = json!({ "status": "success", "job_id": id });
    report(&service, "S1", &secret_of(id, 0), &of_none).expect_problem(404, "job_unknown");
    let faulty = json!({ "status": "failed", "job_id": id });
    report(&service, "S1", &secret_of(id, 0), &faulty).expect_problem(400, "bad_request");
}

/// Password guessing blocks an address for a while, even for the right password.
#[test]
fn guessing_ends_soon() {
    let service = service();
    let guess = || service.bearer("guess").get("/api/v1/jobs").status;
    let refused = (0..100).map(|_| guess()).find(|status| *status != 401);
    assert_eq!(refused, Some(429));
    let right = service.login("ops", PASSWORD).get("/api/v1/jobs");
    right.expect_problem(429, "too_many_requests").header("retry-after");
}

#[test]
fn requests_are_limited() {
    let folder = TempDir::new().unwrap();
    let service = Service::start_in(folder, "[api]\nrequests_per_second = 1\n");
    let ask = || service.get("/api/v1/openapi.json").status;
    let refused = (0..100).map(|_| ask()).find(|status| *status != 200);
    assert_eq!(refused, Some(429));
    // Host reports and health checks are not affected.
    service.get("/healthz").expect(200);
}

/// Every documented operation has a handler, and no path accepts other methods.
#[test]
fn the_service_serves_every_documented_route() {
    let service = service();
    let description = service.get("/api/v1/openapi.json").expect(200).json();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let address = path.replace("{id}", "x").replace("{serial}", "x");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let reply = service.send(method, &address, &[], b"");
            if methods.get(method.to_lowercase()).is_some() {
                assert!(!matches!(reply.status, 404 | 405), "{method} {path}: {}", reply.text());
            } else {
                assert_eq!(reply.status, 405, "{method} {path}");
            }
        }
    }
    service.get("/api/v1/nothing").expect_problem(404, "not_found");
    service.delete("/api/v1/jobs").expect_problem(405, "method_not_allowed");
}

#[test]
fn metrics_count_and_name_nobody() {
    let (service, ops) = service_and_operator();
    send(&ops, "PUT", "/api/v1/servers/S-SECRET", &server()).expect(201);
    booted_job(&ops, "S-SECRET");
    report(&service, "S-SECRET", "wrong", &json!({})).expect(401);
    let page = service.get("/metrics").expect(200).text();
    for line in [
        "provisioner_servers 1",
        "provisioner_jobs{state=\"provisioning\"} 1",
        "provisioner_workers 1",
        "provisioner_failed_logins_total{interface=\"webhook\"} 1",
        "provisioner_http_requests_total{method=\"PUT\",route=\"/api/v1/servers/{serial}\",status=\"201\"} 1",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
    assert!(!page.contains("S-SECRET") && !page.contains("ops"), "{page}");
    service.get("/readyz").expect(200);
}
