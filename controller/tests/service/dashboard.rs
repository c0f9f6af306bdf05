// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Dashboard pages, fetched without scripts and in a browser.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use controller::jobs::model::JobId;
use serde_json::json;
use tempfile::TempDir;
use test_support::http;

use crate::api::{
    PASSWORD, booted_job, secret_of, send, server, service, service_and_operator,
    service_with_server, start_job, wait_until,
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

/// The address in the first link with this text.
fn link<'a>(page: &'a str, text: &str) -> Option<&'a str> {
    let (before, _) = page.split_once(&format!("\">{text}</a>"))?;
    before.rsplit_once("href=\"").map(|(_, address)| address)
}

/// The address of a link in the HTML, as a browser requests it.
fn follow(page: &str, text: &str) -> String {
    link(page, text).unwrap_or_else(|| panic!("{text}\n{page}")).replace("&amp;", "&")
}

#[test]
fn a_long_table_has_links_to_its_other_pages() {
    let (_service, ops) = service_and_operator();
    let serials: Vec<String> = (0..101).map(|number| format!("S&{number:03}")).collect();
    let put = |serial: &str| {
        let path = format!("/api/v1/servers/{}", serial.replace('&', "%26"));
        send(&ops, "PUT", &path, &server()).expect(201);
    };
    let jobs_of = |page: &str| page.matches("href=\"/dashboard/jobs/").count();
    for serial in &serials[..100] {
        put(serial);
    }
    let page = ops.get("/").expect(200).text();
    let texts = ["Older jobs", "Newest jobs", "Next servers", "First servers"];
    assert!(texts.iter().all(|text| link(&page, text).is_none()), "all rows are shown: {page}");
    assert!(!page.contains("aria-label"), "{page}");

    put(&serials[100]);
    let page = ops.get("/").expect(200).text();
    assert!(page.contains("S&amp;099") && !page.contains("S&amp;100"), "{page}");
    assert!(page.contains("<nav aria-label=\"Pages of Servers\">"), "{page}");
    assert!(link(&page, "Older jobs").is_none(), "there are no jobs: {page}");
    let next = ops.get(&follow(&page, "Next servers")).expect(200).text();
    assert!(next.contains("S&amp;100") && !next.contains("S&amp;099"), "{next}");
    assert!(link(&next, "Next servers").is_none(), "{next}");
    let first = ops.get(&follow(&next, "First servers")).expect(200).text();
    assert_eq!(first, page);

    let oldest = start_job(&ops, &serials[0]);
    for serial in &serials[1..] {
        start_job(&ops, serial);
    }
    // The pages of one table do not depend on that of the other.
    let servers = ops.get(&follow(&page, "Next servers")).expect(200).text();
    assert!(!servers.contains(&oldest), "{servers}");
    let older = ops.get(&follow(&servers, "Older jobs")).expect(200).text();
    assert!(older.contains(&oldest) && older.contains("S&amp;100"), "{older}");
    // The older job, and the active job of the server.
    assert_eq!((jobs_of(&older), link(&older, "Older jobs")), (2, None), "{older}");
    let newest = ops.get(&follow(&older, "Newest jobs")).expect(200).text();
    assert_eq!(jobs_of(&newest), 101, "{newest}");
    ops.get(&format!("/?jobs_before={}", JobId::random())).expect(404);
    ops.get("/?page=2").expect(400);
}

#[test]
fn long_lists_of_the_registry_have_links_to_their_other_pages() {
    let service = service();
    let look = service.login("look", PASSWORD);
    let (manifest, _) = service.push_image("a/000", "v000", "1");
    for number in 1..100 {
        service.push_image(&format!("a/{number:03}"), "v1", "1");
        service.push_manifest("a/000", &format!("v{number:03}"), &manifest);
    }
    let page = look.get("/dashboard/registry").expect(200).text();
    assert!(link(&page, "Next repositories").is_none() && !page.contains("Next tags"), "{page}");

    service.push_image("a/100", "v1", "1");
    service.push_manifest("a/000", "v100", &manifest);
    let page = look.get("/dashboard/registry").expect(200).text();
    assert!(page.contains("a/099") && !page.contains("a/100") && !page.contains("v100"), "{page}");
    let next = look.get(&follow(&page, "Next repositories")).expect(200).text();
    assert!(next.contains("<td>a/100</td>") && !next.contains("a/099"), "{next}");
    assert_eq!(look.get(&follow(&next, "First repositories")).expect(200).text(), page);
    let tags = look.get(&follow(&page, "Next tags of a/000")).expect(200).text();
    assert!(tags.contains("<td>v100</td>") && !tags.contains("v099"), "{tags}");
    let tags = look.get(&follow(&tags, "First tags")).expect(200).text();
    assert!(tags.contains("<td>v099</td>") && !tags.contains("v100<"), "{tags}");
    look.get("/dashboard/registry/tags?repository=a/none").expect(404);
    look.get("/dashboard/registry/tags?repository=A").expect(400);
    service.get("/dashboard/registry/tags?repository=a/000").expect(401);
}

/// A proxy that adds credentials to every request, because a headless browser cannot log in.
/// `script`: whether to serve the script. `before` is called with the number (from 1) of each
/// request for `page`.
fn proxy(
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
    let plain = proxy(&service, false, page.clone(), |number| assert_eq!(number, 1));
    let shown = browse(&chromium, &format!("{plain}{page}"));
    assert!(shown.contains("state.provisioning") && shown.contains("webhook.wait"), "{shown}");
    let shown = browse(&chromium, &plain);
    assert!(shown.contains("S1") && shown.contains(id), "{shown}");
    let shown = browse(&chromium, &format!("{plain}/dashboard/registry"));
    assert!(shown.contains("tools/one") && shown.contains("v1"), "{shown}");

    // With the script, a page opened during the job shows its completion.
    let (client, watched) = (service.clone(), id.clone());
    let live = proxy(&service, true, page.clone(), move |number| {
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
