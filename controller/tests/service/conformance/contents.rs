// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Every kind of content: push, list, pull and delete.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use oci::digest::Algorithm;
use serde_json::{Value, json};

use super::{REPOSITORY, post};
use crate::support::{Client, IMAGE_INDEX, IMAGE_MANIFEST, Service, digest};

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// Test content: blobs, then manifests in order, then tags.
struct Content {
    algorithm: Algorithm,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: Vec<Value>,
    tags: BTreeMap<String, Digest>,
    /// Fields added to every manifest.
    extra: Value,
}

impl Content {
    fn new() -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            blobs: BTreeMap::new(),
            manifests: Vec::new(),
            tags: BTreeMap::new(),
            extra: json!({}),
        }
    }

    fn descriptor(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = digest(self.algorithm, content).to_string();
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    fn blob(&mut self, media_type: &str, content: &[u8]) -> Value {
        let descriptor = self.descriptor(media_type, content);
        self.blobs.insert(descriptor["digest"].as_str().unwrap().to_owned(), content.to_vec());
        descriptor
    }

    /// Adds a manifest with additional fields. Returns its descriptor.
    fn manifest(&mut self, mut manifest: Value, more: &Value) -> Value {
        let fields = manifest.as_object_mut().unwrap();
        for extra in [more, &self.extra] {
            fields.extend(extra.as_object().unwrap().clone());
        }
        let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
        let descriptor = self.descriptor(&media_type, manifest.to_string().as_bytes());
        self.manifests.push(manifest);
        descriptor
    }

    fn image(&mut self, seed: &str, layers: usize, more: &Value) -> Value {
        let config = json!({ "architecture": "amd64", "os": "linux", "seed": seed }).to_string();
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.as_bytes());
        let layers: Vec<Value> = (0..layers)
            .map(|n| format!("layer {n} of {seed}"))
            .map(|text| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", text.as_bytes()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": layers,
        });
        self.manifest(manifest, more)
    }

    fn artifact(&mut self, seed: &str, more: &Value) -> Value {
        let config = self.blob(EMPTY_TYPE, b"{}");
        let layer = self.blob("application/vnd.example.note", seed.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": [layer],
            "artifactType": "application/vnd.example.note",
        });
        self.manifest(manifest, more)
    }

    fn index(&mut self, manifests: &[Value], more: &Value) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": manifests });
        self.manifest(index, more)
    }

    fn tag(mut self, tag: &str, descriptor: &Value) -> Self {
        let digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
        self.tags.insert(tag.to_owned(), digest);
        self
    }

    /// Pushes, lists, pulls and deletes everything.
    fn check(&self, client: &Client, name: &str) {
        for (digest, content) in &self.blobs {
            post(client, REPOSITORY, &format!("?digest={digest}"), content).expect(201);
        }
        let mut referrers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for manifest in &self.manifests {
            let digest = digest(self.algorithm, manifest.to_string().as_bytes()).to_string();
            let reply = client.put_manifest(REPOSITORY, &digest, manifest).expect(201);
            assert_eq!(reply.header("docker-content-digest"), digest, "{name}");
            self.pull(client, reply.header("location"), manifest);
            if let Some(subject) = manifest["subject"]["digest"].as_str() {
                assert_eq!(reply.header("oci-subject"), subject, "{name}");
                referrers.entry(subject.to_owned()).or_default().insert(digest);
            }
        }
        for (tag, digest) in &self.tags {
            let manifest = self.by_digest(digest);
            let reference = match self.algorithm {
                Algorithm::Sha256 => tag.clone(),
                // A manifest pushed only by tag has a SHA-256 digest.
                Algorithm::Sha512 => format!("{digest}?tag={tag}"),
            };
            client.put_manifest(REPOSITORY, &reference, manifest).expect(201);
            self.pull(client, &format!("/v2/{REPOSITORY}/manifests/{tag}"), manifest);
        }
        let listed = client.get(&format!("/v2/{REPOSITORY}/tags/list")).expect(200).json();
        let expected: Vec<&String> = self.tags.keys().collect();
        assert_eq!(listed["tags"], json!(expected), "{name}");
        for (subject, expected) in &referrers {
            self.check_referrers(client, subject, expected);
        }
        self.delete(client, &referrers);
    }

    fn by_digest(&self, wanted: &Digest) -> &Value {
        let is =
            |manifest: &&Value| digest(self.algorithm, manifest.to_string().as_bytes()) == *wanted;
        self.manifests.iter().find(is).unwrap()
    }

    fn pull(&self, client: &Client, path: &str, manifest: &Value) {
        let text = manifest.to_string();
        let digest = digest(self.algorithm, text.as_bytes()).to_string();
        let got = client.get(path).expect(200);
        assert!(got.body == text.as_bytes());
        for reply in [got, client.head(path).expect(200)] {
            assert_eq!(reply.header("content-type"), manifest["mediaType"].as_str().unwrap());
            assert_eq!(reply.header("content-length"), text.len().to_string());
            assert_eq!(reply.header("docker-content-digest"), digest);
        }
    }

    fn check_referrers(&self, client: &Client, subject: &str, expected: &BTreeSet<String>) {
        let list = |query: &str| {
            let path = format!("/v2/{REPOSITORY}/referrers/{subject}{query}");
            let reply = client.get(&path).expect(200);
            assert_eq!(reply.header("content-type"), IMAGE_INDEX);
            reply
        };
        let all = list("").json();
        assert_eq!(all["schemaVersion"], 2);
        assert_eq!(all["mediaType"], IMAGE_INDEX);
        let all = all["manifests"].as_array().unwrap().clone();
        let found: BTreeSet<String> =
            all.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, *expected);
        for entry in &all {
            let manifest = self.by_digest(&entry["digest"].as_str().unwrap().parse().unwrap());
            let config = &manifest["config"]["mediaType"];
            let kind = manifest.get("artifactType").unwrap_or(config);
            assert_eq!(entry["artifactType"], *kind);
            assert_eq!(entry["annotations"], manifest["annotations"]);
            assert_eq!(entry["size"], manifest.to_string().len());
            let Some(kind) = kind.as_str() else { continue };
            let filtered = list(&format!("?artifactType={}", kind.replace('+', "%2B")));
            assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
            let filtered = filtered.json()["manifests"].as_array().unwrap().clone();
            assert!(filtered.contains(entry));
            assert!(filtered.iter().all(|entry| entry["artifactType"] == kind));
        }
    }

    fn delete(&self, client: &Client, referrers: &BTreeMap<String, BTreeSet<String>>) {
        for tag in self.tags.keys() {
            let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
            client.delete(&path).expect(202);
            client.head(&path).expect(404);
        }
        for manifest in self.manifests.iter().rev() {
            let digest = digest(self.algorithm, manifest.to_string().as_bytes());
            let path = format!("/v2/{REPOSITORY}/manifests/{digest}");
            client.delete(&path).expect(202);
            client.head(&path).expect(404);
        }
        for digest in self.blobs.keys() {
            let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
            client.delete(&path).expect(202);
            client.head(&path).expect(404);
        }
        for subject in referrers.keys() {
            let path = format!("/v2/{REPOSITORY}/referrers/{subject}");
            assert_eq!(client.get(&path).expect(200).json()["manifests"], json!([]));
        }
    }
}

#[test]
fn images_and_indexes() {
    let client = &Service::start();
    let none = json!({});

    let mut content = Content::new();
    let image = content.image("image", 2, &none);
    content.tag("image", &image).check(client, "image");

    let mut content = Content::new();
    let annotations: BTreeMap<String, String> =
        (0..390).map(|n| (format!("large-{n}"), "A".repeat(10_000))).collect();
    let image = content.image("large", 2, &json!({ "annotations": annotations }));
    content.tag("large-manifest", &image).check(client, "large manifest");

    let mut content = Content::new();
    let image = content.image("no layers", 0, &none);
    content.tag("no-layers", &image).check(client, "no layers");

    let mut content = Content::new();
    let index = content.index(&[], &none);
    content.tag("index", &index).check(client, "empty index");

    let mut content = Content::new();
    let platforms = |content: &mut Content, seed: &str| {
        let images = ["amd64", "arm64"].map(|architecture| {
            let mut image = content.image(&format!("{seed} {architecture}"), 2, &json!({}));
            image["platform"] = json!({ "os": "linux", "architecture": architecture });
            image
        });
        content.index(&images, &json!({}))
    };
    let inner = [platforms(&mut content, "one"), platforms(&mut content, "two")];
    let outer = content.index(&inner, &none);
    let content = content.tag("index", &inner[0]).tag("index-of-index", &outer);
    content.check(client, "nested index");

    let mut content = Content::new();
    content.extra = json!({ "org.example.unknown": { "kept": [1, 2, 3] } });
    let index = platforms(&mut content, "custom fields");
    content.tag("custom-fields", &index).check(client, "custom fields");

    let mut content = Content::new();
    content.algorithm = Algorithm::Sha512;
    let index = platforms(&mut content, "sha512");
    content.tag("sha512-1", &index).tag("sha512-2", &index).check(client, "sha512");
}

#[test]
fn contents_of_uncommon_descriptors() {
    let client = &Service::start();

    // Descriptors with embedded `data`.
    let mut content = Content::new();
    let mut config = content.blob(EMPTY_TYPE, b"{}");
    config["data"] = json!("e30=");
    let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": [config] });
    let image = content.manifest(manifest, &json!({}));
    content.tag("data-field", &image).check(client, "data field");

    // Foreign layers that were never pushed.
    let mut content = Content::new();
    let config = content.blob("application/vnd.oci.image.config.v1+json", b"{\"os\":\"linux\"}");
    let here = content.blob("application/vnd.oci.image.layer.v1.tar", b"here");
    let mut elsewhere = content
        .descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", b"elsewhere");
    elsewhere["urls"] = json!(["https://store.example.com/blobs/elsewhere"]);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config,
        "layers": [elsewhere, here],
    });
    let image = content.manifest(manifest, &json!({}));
    content.tag("non-distributable", &image).check(client, "non-distributable layers");
}

#[test]
fn artifacts_and_referrers() {
    let client = &Service::start();
    let empty = client.get(&format!("/v2/{REPOSITORY}/referrers/{}", Digest::sha256(b"none")));
    assert_eq!(empty.expect(200).json()["manifests"], json!([]));
    let annotations = json!({ "org.example.note": "hello" });

    let mut content = Content::new();
    let artifact = content.artifact("artifact", &json!({}));
    let index = json!({ "artifactType": "application/vnd.example.list" });
    let index = content.index(std::slice::from_ref(&artifact), &index);
    let content = content.tag("artifact", &artifact).tag("artifact-index", &index);
    content.check(client, "artifacts");

    let mut content = Content::new();
    let subject = content.image("subject", 1, &json!({}));
    content.image("about it", 1, &json!({ "subject": subject }));
    let tagged =
        content.artifact("one", &json!({ "subject": subject, "annotations": annotations }));
    content.artifact(
        "two",
        &json!({ "subject": subject, "artifactType": "application/vnd.example.other+json" }),
    );
    let content = content.tag("subject", &subject).tag("referrer", &tagged);
    content.check(client, "artifacts with a subject");

    let mut content = Content::new();
    let image = content.image("of the index", 1, &json!({}));
    let subject = content.index(&[image], &json!({}));
    let artifact = content.artifact("of the list", &json!({}));
    let about = json!({
        "subject": subject, "artifactType": "application/vnd.example.list",
        "annotations": annotations,
    });
    let list = content.index(&[artifact], &about);
    content.tag("list", &list).check(client, "an index with a subject");

    let mut content = Content::new();
    let missing = content.descriptor(IMAGE_MANIFEST, b"never pushed");
    let artifact = content.artifact("early", &json!({ "subject": missing }));
    content.tag("early", &artifact).check(client, "a subject that is missing");
}
