// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests of the client with real registries: Debian's docker-registry, which has neither the
//! referrers API nor `OCI-Subject`, and the controller's own, which has both.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use oci::client::{Client, CredentialSource, Credentials, Options, Pushed};
use oci::{Digest, Repository, Selector, artifact, json, media_type};
use test_support::Distribution;

/// A registry process and its storage, removed on drop.
struct Registry {
    running: test_support::Registry,
    /// True if it has the referrers API.
    referrers: bool,
}

impl Registry {
    /// All available registries.
    fn list_available() -> impl Iterator<Item = Self> {
        [Self::distribution(None), Self::controller()].into_iter().flatten()
    }

    /// The controller, if it was built.
    fn controller() -> Option<Self> {
        Some(Self { running: test_support::Registry::controller()?, referrers: true })
    }

    /// docker-registry, if it is installed.
    fn distribution(htpasswd: Option<&str>) -> Option<Self> {
        let with = Distribution { htpasswd, ..Distribution::default() };
        Some(Self { running: test_support::Registry::distribution(with)?, referrers: false })
    }

    fn client(&self, credentials: CredentialSource) -> Client {
        let options = Options { credentials, chunk: Some(3_000_000), ..Options::default() };
        Client::new(&self.running.address.parse().unwrap(), options)
    }
}

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

fn push(client: &Client, name: &str, from: Option<&str>, content: &[u8]) -> Pushed {
    let digest = Digest::sha256(content);
    let from = from.map(repository);
    client
        .push_blob(
            &repository(name),
            &digest,
            content.len() as u64,
            from.as_ref(),
            &mut Cursor::new(content),
        )
        .unwrap()
}

#[test]
fn blobs_go_there_and_back_whole_and_in_pieces() {
    Registry::list_available().for_each(|registry| check_blobs(&registry));
}

fn check_blobs(registry: &Registry) {
    let client = registry.client(CredentialSource::Anonymous);
    // docker-registry and the controller send their time, and run on this machine.
    let date = client.ping().unwrap().unwrap();
    let difference = date.duration_since(std::time::SystemTime::now());
    let difference = difference.unwrap_or_else(|e| e.duration());
    assert!(difference.as_secs() < 60, "{difference:?}");
    let large: Vec<u8> = (0..2_500_000_u32).flat_map(u32::to_le_bytes).collect();
    for content in [b"".as_slice(), b"small", &large] {
        let digest = Digest::sha256(content);
        let name = repository("tools/example");
        assert!(!client.has_blob(&name, &digest).unwrap());
        assert_eq!(push(&client, "tools/example", None, content), Pushed::Uploaded);
        assert_eq!(push(&client, "tools/example", None, content), Pushed::Present);
        assert_eq!(push(&client, "tools/other", Some("tools/example"), content), Pushed::Mounted);
        let mut back = Vec::new();
        client
            .blob(&name, &digest, Some(content.len() as u64))
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == content);
        assert!(client.delete_blob(&name, &digest).unwrap());
        assert!(!client.has_blob(&name, &digest).unwrap());
    }
    // A blob missing in the repository to mount from is uploaded.
    assert_eq!(push(&client, "tools/third", Some("tools/nowhere"), &large), Pushed::Uploaded);
}

#[test]
fn manifests_tags_and_referrers() {
    Registry::list_available().for_each(|registry| check_manifests(&registry));
}

fn check_manifests(registry: &Registry) {
    let client = registry.client(CredentialSource::Anonymous);
    let name = repository("tools/example");
    push(&client, "tools/example", None, artifact::EMPTY_JSON);
    push(&client, "tools/example", None, b"content");
    let layer = artifact::describe("text/plain", b"content");
    let manifest =
        artifact::manifest("application/example", vec![layer.clone()], None, BTreeMap::new())
            .unwrap();
    let bytes = json::canonical(&manifest).unwrap();
    let digest = Digest::sha256(&bytes);
    let tag: Selector = "v1".parse().unwrap();
    assert_eq!(client.head_manifest(&name, &tag).unwrap(), None);
    for selector in [Selector::from(digest.clone()), tag.clone()] {
        let noted =
            client.put_manifest(&name, &selector, media_type::IMAGE_MANIFEST, &bytes).unwrap();
        assert!(!noted);
    }
    assert_eq!(client.head_manifest(&name, &tag).unwrap().as_ref(), Some(&digest));
    let fetched = client.manifest(&name, &tag).unwrap();
    assert_eq!(fetched.bytes, bytes);

    for kind in ["application/a", "application/b"] {
        let referrer = artifact::manifest(
            kind,
            vec![layer.clone()],
            Some(fetched.descriptor.clone()),
            BTreeMap::new(),
        )
        .unwrap();
        let bytes = json::canonical(&referrer).unwrap();
        for _ in 0..2 {
            client.push_referrer(&name, media_type::IMAGE_MANIFEST, &bytes).unwrap();
        }
    }
    let count = |kind| client.referrers(&name, &digest, kind).unwrap().len();
    assert_eq!((count(None), count(Some("application/b"))), (2, 1));
    assert_eq!(client.referrers(&name, &Digest::sha256(b"none"), None).unwrap(), []);

    let mut tags: Vec<String> =
        client.tags(&name).unwrap().iter().map(ToString::to_string).collect();
    tags.sort();
    let fallback = format!("sha256-{}", digest.hex());
    let expected =
        if registry.referrers { vec!["v1".to_owned()] } else { vec![fallback, "v1".to_owned()] };
    assert_eq!(tags, expected);
    assert!(client.delete_manifest(&name, &digest.into()).unwrap());
    assert_eq!(client.head_manifest(&name, &tag).unwrap(), None);
}

#[test]
fn a_password_is_asked_for_and_given() {
    // bcrypt of "not-a-secret", generated with `htpasswd -nbB`.
    let line = "user:$2y$05$2.BO/cGmfjzLImldKpOk1OoUWUWmR0XHmDy8CgR.eEVw7kjkMLwHC";
    let Some(registry) = Registry::distribution(Some(line)) else { return };
    let fixed = |password: &str| {
        registry.client(CredentialSource::Fixed(Credentials::Password {
            username: "user".to_owned(),
            password: password.to_owned(),
        }))
    };
    assert_eq!(push(&fixed("not-a-secret"), "tools/example", None, b"content"), Pushed::Uploaded);
    for client in [fixed("wrong"), registry.client(CredentialSource::Anonymous)] {
        assert_eq!(client.ping().unwrap_err().status(), Some(401));
    }
}
