// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests of the client with injected registry faults.

mod common;
mod downloads;

use std::io::{Cursor, Read};

use common::{Action, Server, answer, large, repository};
use oci::client::{ClientError, CredentialSource, Credentials, Pushed};
use oci::digest::Mismatch;
use oci::{Digest, Selector, media_type};
use test_support::assert_contains;

#[test]
fn a_manifest_with_a_wrong_digest_or_another_media_type_is_refused() {
    let server = Server::start(|request| {
        let body = format!(r#"{{"mediaType":"{}"}}"#, media_type::IMAGE_MANIFEST);
        let content_type = if request.target.ends_with("lie") {
            media_type::IMAGE_INDEX
        } else {
            media_type::IMAGE_MANIFEST
        };
        answer(200).header("Content-Type", content_type).body(body).into()
    });
    let get = |selector: &str| server.client().manifest(&repository(), &selector.parse().unwrap());
    let digest = Digest::sha256(b"another");
    assert!(matches!(
        get(&digest.to_string()),
        Err(ClientError::Content { mismatch, .. }) if matches!(*mismatch, Mismatch::Digest { .. })
    ));
    assert!(get("lie").unwrap_err().to_string().contains("but its mediaType is"));
    assert_eq!(get("v1").unwrap().descriptor.media_type().as_ref(), media_type::IMAGE_MANIFEST);
}

#[test]
fn server_errors_and_lost_answers_pass() {
    let server = Server::start(|request| match request.earlier {
        0 => answer(500).into(),
        1 => answer(429).header("Retry-After", "0").into(),
        2 => Action::Drop { after: 0 },
        3 => answer(503).header("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT").into(),
        _ => answer(200).into(),
    });
    server.client().ping().unwrap();
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn other_refusals_are_final_and_name_the_reason() {
    for status in [400, 403, 404, 409, 501] {
        let server = Server::start(move |_| {
            answer(status).body(r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#).into()
        });
        let message = server.client().tags(&repository()).unwrap_err().to_string();
        let expected = format!(
            "GET {}/v2/tools/example/tags/list: status {status}: DENIED (not for you)",
            server.address()
        );
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_registry_that_asks_for_too_long_a_wait_is_left() {
    let server = Server::start(|_| answer(429).header("Retry-After", "3600").into());
    assert_contains(server.client().ping().unwrap_err().to_string(), "asks to wait 3600 s");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    // A port that was free just before.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = common::client(&address.to_string(), CredentialSource::Anonymous);
    let error = client.ping().unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().starts_with(&format!("GET {address}/v2/: ")), "{error}");
}

fn password() -> CredentialSource {
    CredentialSource::Fixed(Credentials::Password {
        username: "user".to_owned(),
        password: "not-a-secret".to_owned(),
    })
}

#[test]
fn a_redirect_is_followed_without_the_authorization() {
    let storage = Server::start(|_| answer(200).body("content").into());
    let target = format!("http://{}/storage?signature=x", storage.address());
    let registry = Server::start(move |request| match request.header("authorization") {
        None => answer(401).header("WWW-Authenticate", "Basic realm=\"r\"").into(),
        Some(_) => answer(307).header("Location", &target).into(),
    });
    let mut text = String::new();
    registry
        .client_with(password())
        .blob(&repository(), &Digest::sha256(b"content"), Some(7))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "content");
    assert_eq!(storage.lines(), ["GET /storage?signature=x"]);
    assert_eq!(storage.requests()[0].header("authorization"), None);
    assert_eq!(
        registry.requests()[1].header("authorization"),
        Some("Basic dXNlcjpub3QtYS1zZWNyZXQ=")
    );
}

#[test]
fn redirects_have_an_end() {
    let server = Server::start(|_| answer(307).header("Location", "/v2/again").into());
    assert_contains(server.client().ping().unwrap_err().to_string(), "more than 5 redirects");
}

/// A registry and its token server; each token is derived from its scope.
fn with_tokens(expires: u32) -> (Server, Server) {
    let tokens = Server::start(move |request| {
        if request.header("authorization") != Some("Basic dXNlcjpub3QtYS1zZWNyZXQ=") {
            return answer(401).into();
        }
        let token = request.target.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        answer(200).body(format!(r#"{{"token":"{token}","expires_in":{expires}}}"#)).into()
    });
    let challenge =
        format!("Bearer realm=\"http://{}/token\",service=\"example\"", tokens.address());
    let registry = Server::start(move |request| match request.header("authorization") {
        Some(value) if value.starts_with("Bearer tokenserviceexamplescope") => answer(404).into(),
        _ => answer(401).header("WWW-Authenticate", &challenge).into(),
    });
    (tokens, registry)
}

#[test]
fn a_token_is_fetched_once_for_each_scope() {
    let (tokens, registry) = with_tokens(300);
    let client = registry.client_with(password());
    let digest = Digest::sha256(b"content");
    for _ in 0..3 {
        assert!(!client.has_blob(&repository(), &digest).unwrap());
    }
    assert!(!client.delete_blob(&repository(), &digest).unwrap());
    assert_eq!(
        tokens.lines(),
        [
            "GET /token?service=example&scope=repository%3Atools%2Fexample%3Apull",
            "GET /token?service=example&scope=repository%3Atools%2Fexample%3Adelete",
        ]
    );
    // The challenge costs one extra request for each scope.
    assert_eq!(registry.requests().len(), 3 + 1 + 2);
}

#[test]
fn a_token_that_has_expired_is_fetched_anew() {
    let (tokens, registry) = with_tokens(0);
    let client = registry.client_with(password());
    for _ in 0..2 {
        assert!(!client.has_blob(&repository(), &Digest::sha256(b"")).unwrap());
    }
    assert_eq!(tokens.requests().len(), 2);
}

#[test]
fn wrong_credentials_are_an_error_without_the_password() {
    let (_tokens, registry) = with_tokens(300);
    let wrong = CredentialSource::Fixed(Credentials::Password {
        username: "user".to_owned(),
        password: "hunter2".to_owned(),
    });
    let error =
        registry.client_with(wrong).has_blob(&repository(), &Digest::sha256(b"")).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("/token: status 401") && text.contains("podman login"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let error = registry.client().has_blob(&repository(), &Digest::sha256(b"")).unwrap_err();
    assert_eq!(error.status(), Some(401));
}

#[test]
fn an_identity_token_is_exchanged_with_a_form() {
    let tokens = Server::start(|_| answer(200).body(r#"{"access_token":"short"}"#).into());
    let challenge = format!("Bearer realm=\"http://{}/token\"", tokens.address());
    let registry = Server::start(move |request| match request.header("authorization") {
        Some("Bearer short") => answer(200).into(),
        _ => answer(401).header("WWW-Authenticate", &challenge).into(),
    });
    let source = CredentialSource::Fixed(Credentials::IdentityToken("long/lived".to_owned()));
    registry.client_with(source).ping().unwrap();
    let form = String::from_utf8(tokens.requests()[0].body.clone()).unwrap();
    assert!(
        form.contains("grant_type=refresh_token") && form.ends_with("refresh_token=long%2Flived"),
        "{form}"
    );
}

/// Pushes `content` to a scripted registry that does not have it.
fn push(server: &Server, content: &[u8]) -> Result<Pushed, ClientError> {
    let digest = Digest::sha256(content);
    server.client().push_blob(
        &repository(),
        &digest,
        content.len() as u64,
        None,
        &mut Cursor::new(content),
    )
}

/// The concatenated bodies of all upload requests.
fn collect_received(server: &Server) -> Vec<u8> {
    let requests = server.requests();
    requests
        .iter()
        .filter(|r| matches!(r.method.as_str(), "PATCH" | "PUT"))
        .flat_map(|r| r.body.clone())
        .collect()
}

fn begin() -> Action {
    answer(202).header("Location", "/upload/1").into()
}

#[test]
fn an_upload_that_breaks_off_continues_at_the_offset_of_the_registry() {
    let content = large();
    let server = Server::start(|request| match (request.method.as_str(), request.earlier) {
        ("HEAD", _) => answer(404).into(),
        ("POST", _) => begin(),
        ("PATCH", 0) => Action::Drop { after: 2_000_000 },
        ("GET", _) => {
            answer(204).header("Location", "/upload/1?again").header("Range", "0-1999999").into()
        }
        ("PATCH", _) => answer(202).header("Location", "/upload/1?last").into(),
        _ => answer(201).into(),
    });
    assert_eq!(push(&server, &content).unwrap(), Pushed::Uploaded);
    assert!(collect_received(&server) == content);
    let digest = Digest::sha256(&content);
    let blob = format!("HEAD /v2/tools/example/blobs/{digest}");
    assert_eq!(
        server.lines(),
        [
            blob.as_str(),
            "POST /v2/tools/example/blobs/uploads/",
            "PATCH /upload/1",
            blob.as_str(),
            "GET /upload/1",
            "PATCH /upload/1?again",
            &format!("PUT /upload/1?last&digest=sha256%3A{}", digest.hex()),
        ]
    );
    assert_eq!(server.requests()[5].header("content-range"), Some("2000000-5999999"));
}

#[test]
fn an_upload_that_the_registry_forgot_starts_anew() {
    let content = large();
    let server = Server::start(|request| match (request.method.as_str(), request.earlier) {
        ("HEAD" | "GET", _) | ("PATCH", 0) => answer(404).into(),
        ("POST", _) => begin(),
        ("PATCH", _) => answer(202).header("Location", "/upload/1").into(),
        _ => answer(201).into(),
    });
    assert_eq!(push(&server, &content).unwrap(), Pushed::Uploaded);
    let posts = server.requests().iter().filter(|r| r.method == "POST").count();
    assert_eq!(posts, 2);
}

#[test]
fn a_lost_last_answer_is_no_failure() {
    let server = Server::start(|request| match (request.method.as_str(), request.earlier) {
        ("HEAD", 0) => answer(404).into(),
        ("HEAD", _) => answer(200).header("Content-Length", "7").into(),
        ("POST", _) => begin(),
        _ => Action::Drop { after: 7 },
    });
    assert_eq!(push(&server, b"content").unwrap(), Pushed::Uploaded);
    assert_eq!(server.requests().iter().filter(|r| r.method == "PUT").count(), 1);
}

#[test]
fn a_digest_that_the_registry_refuses_is_final() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => answer(404).into(),
        "POST" => begin(),
        _ => answer(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#).into(),
    });
    let error = push(&server, b"content").unwrap_err();
    assert!(error.to_string().ends_with("/upload/1: status 400: DIGEST_INVALID"), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_source_that_is_too_short_is_our_fault() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => answer(404).into(),
        "POST" => begin(),
        _ => answer(201).into(),
    });
    let digest = Digest::sha256(b"content");
    let error = server
        .client()
        .push_blob(&repository(), &digest, 7, None, &mut Cursor::new(b"cont"))
        .unwrap_err();
    assert!(matches!(error, ClientError::Source { .. }), "{error}");
    assert!(error.to_string().contains("shorter than described"), "{error}");
}

#[test]
fn pages_of_tags_are_followed_within_the_registry_only() {
    let server = Server::start(|request| {
        let next = |target: &str| format!("<{target}>; rel=\"next\"");
        match request.target.as_str() {
            "/v2/tools/example/tags/list?n=1000" => answer(200)
                .header("Link", next("/v2/tools/example/tags/list?last=a"))
                .body(r#"{"tags":["a"]}"#),
            "/v2/tools/example/tags/list?last=a" => answer(200).body(r#"{"tags":["b"]}"#),
            _ => answer(200).header("Link", next("http://127.0.0.1:1/")).body(r#"{"tags":null}"#),
        }
        .into()
    });
    let client = server.client();
    let tags: Vec<String> =
        client.tags(&repository()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["a", "b"]);
    let message = client.tags(&"other".parse().unwrap()).unwrap_err().to_string();
    assert!(message.contains("not another page of this registry"), "{message}");
}

#[test]
fn referrers_are_filtered_here_when_the_registry_does_not() {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","artifactType":"application/a"},
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b","artifactType":"application/b"}]}"#;
    let server = Server::start(move |_| answer(200).body(index).into());
    let subject = Digest::sha256(b"");
    let count = |kind| server.client().referrers(&repository(), &subject, kind).unwrap().len();
    assert_eq!(
        (count(None), count(Some("application/b")), count(Some("application/c"))),
        (2, 1, 0)
    );
}

#[test]
fn a_tag_is_asked_for_by_its_manifest_when_the_registry_sends_no_digest() {
    let body = format!(r#"{{"mediaType":"{}"}}"#, media_type::IMAGE_MANIFEST);
    let digest = Digest::sha256(body.as_bytes());
    let server = Server::start(move |_| {
        answer(200).header("Content-Type", media_type::IMAGE_MANIFEST).body(body.clone()).into()
    });
    let selector: Selector = "v1".parse().unwrap();
    assert_eq!(server.client().head_manifest(&repository(), &selector).unwrap(), Some(digest));
}
