// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Access rules, tested with a client.

use std::fs::File;

use serde_json::json;

use crate::support::{Client, IMAGE_INDEX, IMAGE_MANIFEST, Service, descriptor};

const RULES: &str = r#"
[registry]
htpasswd = "FOLDER/users"
[[registry.access]]
prefix = ""
pull = ["anonymous"]
push = ["ci"]
delete = ["ci"]
[[registry.access]]
prefix = "private"
pull = ["authenticated"]
push = ["boss"]
[[registry.immutable]]
prefix = "tools"
tags = ["v*"]
"#;

fn service(rules: &str) -> Service {
    let folder = tempfile::TempDir::new().unwrap();
    let line = |user: &str| format!("{user}:{}\n", bcrypt::hash(user, 4).unwrap());
    std::fs::write(folder.path().join("users"), line("ci") + &line("boss")).unwrap();
    Service::start_in(folder, rules)
}

/// Pushes an image. Returns the first status.
fn push(client: &Client, repository: &str) -> u16 {
    client.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"").status
}

#[test]
fn rules_decide_by_prefix_user_and_action() {
    let service = service(RULES);
    let nobody = service.clone();
    let ci = nobody.login("ci", "ci");
    let boss = nobody.login("boss", "boss");
    for (client, repository, expected) in [
        (&nobody, "open", 401),
        (&ci, "open", 202),
        (&boss, "open", 403),
        (&nobody, "private/x", 401),
        (&ci, "private/x", 403),
        (&boss, "private/x", 202),
    ] {
        assert_eq!(push(client, repository), expected, "{repository}");
    }
    ci.push_image("open", "v1", "1");
    boss.push_image("private/x", "v1", "1");
    nobody.get("/v2/open/manifests/v1").expect(200);
    nobody.get("/v2/private/x/manifests/v1").expect_error(401, "UNAUTHORIZED");
    nobody.get("/v2/private/x/tags/list").expect(401);
    ci.get("/v2/private/x/manifests/v1").expect(200);
    boss.delete("/v2/open/manifests/v1").expect_error(403, "DENIED");
    boss.delete("/v2/private/x/manifests/v1").expect_error(403, "DENIED");
    ci.delete("/v2/open/manifests/v1").expect(202);
    // The catalog lists what the user may pull.
    let seen =
        |client: &Client| client.get("/v2/_catalog").expect(200).json()["repositories"].to_string();
    assert_eq!(seen(&nobody), r#"["open"]"#);
    assert_eq!(seen(&ci), r#"["open","private/x"]"#);
}

#[test]
fn a_wrong_login_is_refused_everywhere() {
    let service = service(RULES);
    let client = &service.client;
    client.login("ci", "ci").push_image("open", "v1", "1");
    for wrong in [client.login("ci", "wrong"), client.login("ghost", "ci"), client.login("", "x")] {
        for path in ["/v2/", "/v2/open/manifests/v1", "/v2/_catalog"] {
            let reply = wrong.get(path).expect_error(401, "UNAUTHORIZED");
            assert!(reply.header("www-authenticate").starts_with("Basic realm="));
        }
    }
    let bearer = [("authorization", "Bearer x")];
    client.send("GET", "/v2/", &bearer, b"").expect(401);
    // Some clients send empty credentials.
    client.login("", "").get("/v2/open/manifests/v1").expect(200);
}

#[test]
fn clients_learn_how_to_log_in() {
    let open = service(RULES);
    let reply = open.client.get("/v2/").expect(200);
    assert!(reply.header("www-authenticate").starts_with("Basic realm="));
    open.client.login("ci", "ci").get("/v2/").expect(200);

    let closed = service(
        "[registry]\nhtpasswd = \"FOLDER/users\"\n[[registry.access]]\npull = [\"authenticated\"]\n",
    );
    closed.client.get("/v2/").expect_error(401, "UNAUTHORIZED");
    closed.client.get("/v2/_catalog").expect(401);
    closed.client.login("ci", "ci").get("/v2/").expect(200);
}

#[test]
fn a_mount_needs_the_right_to_pull_from_there() {
    let service = service(RULES);
    let boss = service.login("boss", "boss");
    let digest = boss.push_blob("private/x", b"content");
    // Anonymous users may not even push. A rule for a user who may push but not pull:
    let ci = service.login("ci", "ci");
    let path = format!("/v2/open/blobs/uploads/?mount={digest}&from=private/x");
    ci.send("POST", &path, &[], b"").expect(201);
    let rules = RULES.replace(r#"["authenticated"]"#, r#"["boss"]"#);
    let service = self::service(&rules);
    service.login("boss", "boss").push_blob("private/x", b"content");
    // Like an absent blob, even without a source repository.
    service.login("ci", "ci").send("POST", &path, &[], b"").expect(202);
    let path = path.replace("&from=private/x", "");
    service.login("ci", "ci").send("POST", &path, &[], b"").expect(202);
}

#[test]
fn an_immutable_tag_neither_moves_nor_goes() {
    let service = service(RULES);
    let ci = service.login("ci", "ci");
    let (manifest, digest) = ci.push_image("tools/a", "v1", "1");
    // The same digest is no move.
    ci.push_manifest("tools/a", "v1", &manifest);
    let other = ci.image("tools/a", "2");
    ci.put_manifest("tools/a", "v1", &other).expect_error(403, "DENIED");
    ci.put_manifest("tools/a", "latest?tag=v1", &other).expect_error(403, "DENIED");
    ci.get("/v2/tools/a/manifests/latest").expect(404);
    ci.delete("/v2/tools/a/manifests/v1").expect_error(403, "DENIED");
    ci.delete(&format!("/v2/tools/a/manifests/{digest}")).expect_error(403, "DENIED");
    ci.push_manifest("tools/a", "latest", &other);
    ci.push_manifest("tools/a", "latest", &manifest);
    ci.delete("/v2/tools/a/manifests/v9").expect(404);
}

/// Whatever an immutable tag needs is protected: children, config and layers, signatures by
/// `subject` and by tag.
#[test]
fn an_immutable_tag_keeps_everything_that_it_leads_to() {
    let service = service(RULES);
    let ci = service.login("ci", "ci");
    let child = ci.image("tools/a", "1");
    let child_digest = ci.push_manifest("tools/a", "child", &child);
    let index = json!({
        "schemaVersion": 2, "mediaType": IMAGE_INDEX,
        "manifests": [descriptor(IMAGE_MANIFEST, child.to_string().as_bytes())],
    });
    let index_digest = ci.push_manifest("tools/a", "v1", &index);
    let config = child["config"]["digest"].as_str().unwrap();
    let layer = child["layers"][0]["digest"].as_str().unwrap();
    ci.push_blob("tools/a", b"{}");
    let mut signature = json!({
        "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "artifactType": "application/signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": descriptor(IMAGE_INDEX, index.to_string().as_bytes()),
    });
    let by_subject = ci.push_manifest("tools/a", "any", &signature);
    let tag = format!("{}.sig", index_digest.to_string().replace(':', "-"));
    signature.as_object_mut().unwrap().remove("subject");
    let by_tag = ci.push_manifest("tools/a", &tag, &signature);
    let protected = [
        format!("manifests/{child_digest}"),
        format!("blobs/{config}"),
        format!("blobs/{layer}"),
        format!("blobs/{}", oci::Digest::sha256(b"{}")),
        format!("manifests/{by_subject}"),
        format!("manifests/{by_tag}"),
        format!("manifests/{tag}"),
    ];
    for path in &protected {
        let reply = ci.delete(&format!("/v2/tools/a/{path}")).expect_error(403, "DENIED");
        assert!(reply.text().contains("v1"), "{path}: {}", reply.text());
    }
    // Mutable tags can be deleted, and so can what no immutable tag needs.
    ci.delete("/v2/tools/a/manifests/child").expect(202);
    let (_, other) = ci.push_image("tools/a", "latest", "2");
    ci.delete(&format!("/v2/tools/a/manifests/{other}")).expect(202);
    ci.delete(&format!("/v2/tools/a/blobs/{}", oci::Digest::sha256(b"layer 2"))).expect(202);
    // The same contents in another repository are not protected.
    let elsewhere = ci.push_manifest("open", "v1", &ci.image("open", "1"));
    ci.delete(&format!("/v2/open/blobs/{layer}")).expect(202);
    ci.delete(&format!("/v2/open/manifests/{elsewhere}")).expect(202);
    ci.get("/v2/tools/a/manifests/v1").expect(200);
    ci.get(&format!("/v2/tools/a/blobs/{layer}")).expect(200);
}

/// Reproducible builds push the same digest again: that counts as a new push.
#[test]
fn a_tag_that_is_set_again_is_new() {
    let service = service(RULES);
    let ci = service.login("ci", "ci");
    let (manifest, _) = ci.push_image("open", "latest", "1");
    let path = service.folder().join("data/registry/repositories/open/_tags/latest");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1000);
    File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    ci.push_manifest("open", "latest", &manifest);
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(modified > long_ago + std::time::Duration::from_hours(999));
}

#[test]
fn no_login_without_users() {
    let service = Service::start();
    service.login("a", "b").get("/v2/").expect(401);
    assert!(!service.get("/v2/").expect(200).headers.contains_key("www-authenticate"));
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let service = service(RULES);
    let large = crate::support::bytes(12 << 20);
    for _ in 0..8 {
        let path = format!("/v2/open/blobs/uploads/?digest={}", oci::Digest::sha256(b"x"));
        service.send("POST", &path, &[], &large).expect_error(401, "UNAUTHORIZED");
        let kind = [("content-type", IMAGE_MANIFEST)];
        let ci = service.login("ci", "ci");
        ci.send("PUT", "/v2/open/manifests/v1", &kind, &large)
            .expect_error(413, "MANIFEST_INVALID");
    }
}

#[test]
fn the_file_that_htpasswd_writes_is_understood() {
    test_support::need!(&["htpasswd"]);
    let folder = tempfile::TempDir::new().unwrap();
    let users = folder.path().join("users");
    let status = std::process::Command::new("htpasswd")
        .args(["-B", "-b", "-c"])
        .arg(&users)
        .args(["ci", "only-for-this-test"])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let service = Service::start_in(folder, RULES.replace("\"boss\"", "\"ci\"").as_str());
    assert_eq!(push(&service.login("ci", "only-for-this-test"), "open"), 202);
    assert_eq!(push(&service.login("ci", "ci"), "open"), 401);
}
