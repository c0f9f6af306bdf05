// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The pages for people, as a browser without a script gets them.

use crate::api::{PASSWORD, new_job, send, server, service, until};

#[test]
fn the_pages_show_what_there_is() {
    let service = service();
    let look = service.client.login("look", PASSWORD);
    service.client.get("/").expect(401).header("www-authenticate");
    let ops = service.client.login("ops", PASSWORD);
    // What others write is text, whatever they write.
    let serial = "S1%3Cscript%3E";
    send(&ops, "PUT", &format!("/api/v1/servers/{serial}"), &server()).expect(201);
    let job = send(&ops, "POST", "/api/v1/jobs", &new_job("S1<script>")).expect(202).json();
    let id = job["job_id"].as_str().unwrap();
    until(&ops, id, |job| job["step"] == "webhook.wait");
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

    service.client.push_image("tools/one", "v1", "1");
    let page = look.get("/dashboard/registry").expect(200).text();
    assert!(page.contains("<td>tools/one</td><td>v1</td>"), "{page}");
    service.client.get("/dashboard/registry").expect(401);
    for asset in ["/dashboard/script.js", "/dashboard/style.css"] {
        service.client.get(asset).expect(200);
    }
}
