// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Dashboard pages, fetched without scripts and in a browser.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tempfile::TempDir;
use test_support::http;

use crate::api::{
    PASSWORD, booted_job, secret_of, send, server, service, service_with_server, wait_until,
};
use crate::support::Service;

#[test]
fn the_pages_show_what_there_is() {
    let service = service();
    let look = service.login("look", PASSWORD);
    service.get("/").expect(401).header("www-authenticate");
    let ops = service.login("ops", PASSWORD);
    // User-supplied text is escaped.
    let serial = "S1%3Cscript%3E";
    send(&ops, "PUT", &format!("/api/v1/servers/{serial}"), &server()).expect(201);
    let id = &booted_job(&ops, "S1<script>");
    let reply = look.get("/").expect(200);
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    let page = reply.text();
    for shown in [
        "S1&lt;script&gt;",
        "https://bmc.example",
        &format!("/dashboard/jobs/{id}"),
        "provisioning",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    assert!(!page.contains("<script>") && !page.contains("of-the-bmc-itself"), "{page}");
    let page = look.get(&format!("/dashboard/jobs/{id}")).expect(200).text();
    assert!(page.contains("webhook.wait") && page.contains("state.provisioning"), "{page}");
    assert!(!page.contains("what-only-the-machine-may-see"), "{page}");
    look.get("/dashboard/jobs/x").expect(404);

    service.push_image("tools/one", "v1", "1");
    let page = look.get("/dashboard/registry").expect(200).text();
    assert!(page.contains("<td>tools/one</td><td>v1</td>"), "{page}");
    service.get("/dashboard/registry").expect(401);
    for asset in ["/dashboard/script.js", "/dashboard/style.css"] {
        service.get(asset).expect(200);
    }
}

/// A proxy that adds credentials to every request, because a headless browser cannot log in.
/// `script`: whether to serve the script. `before` is called with the number (from 1) of each
/// request for `page`.
fn gate(
    service: &Service,
    script: bool,
    page: String,
    before: impl Fn(usize) + Send + Sync + 'static,
) -> String {
    let client = service.login("look", PASSWORD);
    let asked = AtomicUsize::new(0);
    let server = http::Server::start(move |request| {
        if request.path().ends_with("script.js") && !script {
            return http::answer(404);
        }
        if request.target == page {
            before(asked.fetch_add(1, Ordering::Relaxed) + 1);
        }
        let reply = client.get(&request.target);
        let answer = reply.headers.iter().fold(http::answer(reply.status), |answer, header| {
            answer.header(header.0.as_str(), header.1.to_str().unwrap())
        });
        answer.body(reply.body)
    });
    server.url()
}

/// Returns the page as rendered by a browser. Virtual time passes quickly when the page is idle.
fn browse(chromium: &Path, url: &str) -> String {
    let profile = TempDir::new().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--virtual-time-budget=7000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", url])
        .env("HOME", profile.path())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_browser_shows_a_job_go_on() {
    let Some(chromium) = test_support::find("chromium") else { return };
    let (service, ops) = service_with_server();
    let id = &booted_job(&ops, "S1");
    service.push_image("tools/one", "v1", "1");
    let page = format!("/dashboard/jobs/{id}");

    // Without the script the page is complete and static.
    let plain = gate(&service, false, page.clone(), |number| assert_eq!(number, 1));
    let shown = browse(&chromium, &format!("{plain}{page}"));
    assert!(shown.contains("state.provisioning") && shown.contains("webhook.wait"), "{shown}");
    let shown = browse(&chromium, &plain);
    assert!(shown.contains("S1") && shown.contains(id), "{shown}");
    let shown = browse(&chromium, &format!("{plain}/dashboard/registry"));
    assert!(shown.contains("tools/one") && shown.contains("v1"), "{shown}");

    // With the script, a page opened during the job shows its completion.
    let (client, watched) = (service.clone(), id.clone());
    let live = gate(&service, true, page.clone(), move |number| {
        if number == 2 {
            let body = json!({ "status": "success", "job_id": watched }).to_string();
            let secret = secret_of(&watched, 0);
            let headers = [("x-webhook-secret", secret.as_str())];
            let path = "/api/v1/status-webhook/S1";
            client.send("POST", path, &headers, body.as_bytes()).expect(200);
            wait_until(&ops, &watched, |job| job["status"] == "complete");
        }
    });
    let shown = browse(&chromium, &format!("{live}{page}"));
    assert!(shown.contains("state.complete") && shown.contains("state.succeeded"), "{shown}");
}
