// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Two listeners: hosts and BMCs have no access to the API, operators none to host routes.

use serde_json::json;

use crate::api::{self, PASSWORD};
use crate::support::Service;

fn service() -> Service {
    let server = "[server]\nmachine_listen = \"127.0.0.1:0\"\n";
    // The URL for hosts is that of their listener.
    let config = api::CONFIG.replace("url = \"http://127.0.0.1:1\"\n", "");
    api::service_with(&format!("{server}{config}"))
}

#[test]
fn each_listener_serves_its_own() {
    let service = service();
    let (operators, machines) = (&service.client, service.machines.as_ref().unwrap());
    assert_ne!(operators.url(), machines.url());
    for listener in [operators, machines] {
        listener.get("/healthz").expect(200);
        listener.get("/readyz").expect(200);
    }
    let ops = machines.login("ops", PASSWORD);
    for path in ["/", "/metrics", "/dashboard/registry", "/api/v1/jobs", "/api/v1/openapi.json"] {
        ops.get(path).expect(404);
    }
    api::send(&ops, "PUT", "/api/v1/servers/S1", &api::server()).expect(404);
    api::send(&ops, "POST", "/api/v1/jobs", &api::new_job("S1")).expect(404);
    let report = json!({ "status": "success" });
    let path = "/api/v1/status-webhook/S1";
    api::send(machines, "POST", path, &report).expect_problem(401, "unauthorized");
    api::send(operators, "POST", path, &report).expect(404);
    let media = "/media/static/17/token/maintenance.iso";
    machines.get(media).expect_problem(403, "media_forbidden");
    operators.get(media).expect(404);
    operators.get("/metrics").expect(200);
    operators.login("ops", PASSWORD).get("/").expect(200);
}

#[test]
fn bmcs_get_addresses_of_the_listener_for_machines() {
    let service = service();
    let ops = service.login("ops", PASSWORD);
    api::send(&ops, "PUT", "/api/v1/servers/S1", &api::server()).expect(201);
    let id = api::booted_job(&ops, "S1");
    let job = api::wait_until(&ops, &id, |_| true);
    let inserted = format!("inserted from {}", service.machines.as_ref().unwrap().url());
    assert!(job["events"].to_string().contains(&inserted), "{job:#}");
}

#[test]
fn machines_pull_and_push_nothing() {
    let service = service();
    let (operators, machines) = (&service.client, service.machines.as_ref().unwrap());
    let (_, digest) = operators.push_image("tools/a", "v1", "1");
    let manifest = format!("/v2/tools/a/manifests/{digest}");
    machines.get("/v2/").expect(200);
    machines.get(&manifest).expect(200);
    machines.head(&manifest).expect(200);
    machines.get("/v2/tools/a/tags/list").expect(200);
    for (method, path) in [
        ("POST", "/v2/tools/a/blobs/uploads/"),
        ("PUT", "/v2/tools/a/manifests/v2"),
        ("PATCH", "/v2/tools/a/blobs/uploads/0123456789abcdef0123456789abcdef"),
        ("DELETE", manifest.as_str()),
    ] {
        let reply = machines.send(method, path, &[], b"").expect_error(405, "UNSUPPORTED");
        assert_eq!(reply.header("allow"), "GET, HEAD", "{method} {path}");
    }
    operators.delete(&manifest).expect(202);
}

#[test]
fn a_flood_of_one_listener_leaves_the_other() {
    let server = "[server]\nmachine_listen = \"127.0.0.1:0\"\nmachine_max_connections = 8\n";
    let service = api::service_with(&format!("{server}{}", api::CONFIG));
    let machines = service.machines.as_ref().unwrap();
    let held: Vec<_> =
        (0..300).map(|_| std::net::TcpStream::connect(machines.host()).unwrap()).collect();
    service.login("ops", PASSWORD).get("/api/v1/jobs").expect(200);
    service.get("/metrics").expect(200);
    machines.get("/healthz").expect(200);
    // Connections without a request give way.
    machines.get("/v2/").expect(200);
    drop(held);
}
