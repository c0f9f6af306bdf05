// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Garbage collection and scrub, as functions and as commands.

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use controller::registry::pattern::TagPattern;
use controller::registry::storage::{NewManifest, Policy, Retention, Storage, StorageError};
use oci::digest::Algorithm;
use oci::{Digest, Repository, Selector, Tag};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{IMAGE_INDEX, IMAGE_MANIFEST, Process, Service, controller, descriptor};

const AT_ONCE: Policy = Policy {
    grace: Duration::ZERO,
    quarantine: Duration::from_hours(1),
    untagged: true,
    retention: Vec::new(),
};

/// No tag is immutable.
fn none_immutable(_: &Repository, _: &Tag) -> bool {
    false
}

fn command(data: &std::path::Path, arguments: &[&str]) -> Output {
    controller(&["registry"]).args(arguments).arg("--data-dir").arg(data).output().unwrap()
}

#[test]
fn what_is_needed_stays_and_the_rest_goes_while_the_service_runs() {
    let service = Service::start();
    let client = &service.client;
    let storage = Storage::maintain(service.folder().join("data/registry")).unwrap();
    let (image, kept) = client.push_image("a", "v1", "1");
    let described = descriptor(IMAGE_MANIFEST, image.to_string().as_bytes());
    client.push_blob("a", b"{}");
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let signature = json!({
        "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "artifactType": "application/signature",
        "config": empty, "layers": [], "subject": described,
    });
    let signature_digest = Digest::sha256(signature.to_string().as_bytes());
    client.push_manifest("a", &signature_digest.to_string(), &signature);
    let (child, child_digest) = client.push_image("a", "child", "2");
    let index = json!({
        "schemaVersion": 2, "mediaType": IMAGE_INDEX,
        "manifests": [descriptor(IMAGE_MANIFEST, child.to_string().as_bytes())],
    });
    client.push_manifest("a", "index", &index);
    client.delete("/v2/a/manifests/child").expect(202);
    let (_, moved) = client.push_image("a", "latest", "3");
    client.push_image("a", "latest", "4");
    let loose = client.push_blob("a", b"named by nothing");
    client.push_image("b", "v1", "3");
    let shared = Digest::sha256(b"layer 3");
    let name: Repository = "a".parse().unwrap();

    // Young contents are kept.
    let patient = Policy { grace: Duration::from_hours(1), ..AT_ONCE };
    let nothing = storage.collect(&patient, &none_immutable).unwrap();
    assert!(
        nothing.manifests.is_empty() && nothing.blobs.is_empty() && nothing.contents.is_empty()
    );
    // Untagged manifests are kept by policy.
    let keep = Policy { untagged: false, ..AT_ONCE };
    assert_eq!(storage.plan_collection(&keep, &none_immutable).unwrap().manifests, []);

    let plan = storage.plan_collection(&AT_ONCE, &none_immutable).unwrap();
    let done = storage.collect(&AT_ONCE, &none_immutable).unwrap();
    assert_eq!(plan, done);
    assert_eq!(done.manifests, [(name.clone(), moved.clone())]);
    assert!(done.blobs.contains(&(name, loose.clone())));
    assert!(done.contents.iter().any(|(digest, size)| *digest == loose && *size == 16));
    assert!(!done.contents.iter().any(|(digest, _)| *digest == shared));
    for digest in [&kept, &signature_digest, &child_digest] {
        client.get(&format!("/v2/a/manifests/{digest}")).expect(200);
    }
    client.get(&format!("/v2/a/manifests/{moved}")).expect(404);
    client.get(&format!("/v2/a/blobs/{loose}")).expect(404);
    for layer in ["layer 1", "layer 2", "layer 4"] {
        client.get(&format!("/v2/a/blobs/{}", Digest::sha256(layer.as_bytes()))).expect(200);
    }
    // Collected contents can be restored.
    client.push_blob("a", b"named by nothing");
    client.get(&format!("/v2/a/blobs/{loose}")).expect(200);
    assert_eq!(storage.collect(&patient, &none_immutable).unwrap().contents, []);

    // In quarantine until the time is over.
    assert_eq!(storage.plan_collection(&patient, &none_immutable).unwrap().expired, []);
    let over = storage
        .collect(&Policy { quarantine: Duration::ZERO, ..patient.clone() }, &none_immutable)
        .unwrap();
    assert_eq!(over.expired.len(), done.contents.len());
    client.get(&format!("/v2/a/blobs/{loose}")).expect(200);
}

#[test]
fn a_blob_that_was_checked_for_is_kept() {
    let service = Service::start();
    let client = &service.client;
    let registry = service.folder().join("data/registry");
    let storage = Storage::maintain(registry.clone()).unwrap();
    let (asked, other) = (client.push_blob("a", b"asked"), client.push_blob("a", b"other"));
    let long_ago = SystemTime::now() - Duration::from_hours(48);
    for digest in [&asked, &other] {
        let link = registry.join("repositories/a/_blobs/sha256").join(digest.hex());
        fs::File::options().append(true).open(link).unwrap().set_modified(long_ago).unwrap();
    }
    // The client finds the blob, so it won't push it before the manifest.
    client.head(&format!("/v2/a/blobs/{asked}")).expect(200);
    let policy = Policy { grace: Duration::from_hours(24), ..AT_ONCE };
    let done = storage.collect(&policy, &none_immutable).unwrap();
    assert_eq!(done.blobs, [("a".parse().unwrap(), other)]);
    client.get(&format!("/v2/a/blobs/{asked}")).expect(200);
}

#[test]
fn the_newest_tags_stay() {
    let folder = TempDir::new().unwrap();
    let storage = Storage::open(folder.path().join("registry")).unwrap();
    let name = repository(0);
    let start = SystemTime::now() - Duration::from_hours(1000);
    for seed in 0..6_u8 {
        apply(&storage, &Step::Image { repository: 0, seed, tag: Some(seed), subject: None });
        let path = folder.path().join(format!("registry/repositories/r0/_tags/t{seed}"));
        // The order of pushes differs from that of the names.
        let set = start + Duration::from_hours(u64::from(seed ^ 1));
        fs::File::options().append(true).open(path).unwrap().set_modified(set).unwrap();
    }
    let tags = TagPattern { prefix: "r0".to_owned(), tags: vec!["t*".to_owned()] };
    let policy = Policy { retention: vec![Retention { tags, keep: 2 }], ..AT_ONCE };
    let immutable = |_: &Repository, tag: &Tag| tag.as_str() == "t1";
    let plan = storage.plan_collection(&policy, &immutable).unwrap();
    let done = storage.collect(&policy, &immutable).unwrap();
    assert_eq!(plan, done);
    let gone: Vec<&str> = done.tags.iter().map(|(_, tag)| tag.as_str()).collect();
    assert_eq!(gone, ["t0", "t2", "t3"]);
    assert_eq!(done.manifests.len(), 3);
    let left = storage.tags(&name, None, 100).unwrap().items;
    for tag in left {
        pull(&storage, &name, &Selector::Tag(tag));
    }
}

#[test]
fn commands_plan_run_and_scrub() {
    let data = TempDir::new().unwrap();
    let process = Process::start(data.path());
    process.client.push_image("a", "v1", "1");
    let blob = process.client.push_blob("a", b"content");
    let plan = command(data.path(), &["gc", "--plan"]);
    assert!(plan.status.success());
    // Everything is younger than the default grace period.
    let stdout = String::from_utf8_lossy(&plan.stdout);
    assert_eq!(
        stdout,
        "would collect 0 tags, 0 manifests, 0 blobs; quarantine 0 bytes, delete 0 bytes\n"
    );
    assert!(command(data.path(), &["gc", "--run"]).status.success());
    assert_eq!(command(data.path(), &["gc"]).status.code(), Some(2));
    let good = command(data.path(), &["scrub"]);
    assert_eq!(String::from_utf8_lossy(&good.stdout), "verified 4 contents\n");
    assert!(good.status.success());

    let content = data.path().join("registry/blobs/sha256").join(&blob.hex()[..2]).join(blob.hex());
    fs::write(&content, b"c0ntent").unwrap();
    let bad = command(data.path(), &["scrub"]);
    assert_eq!(bad.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&bad.stdout);
    assert!(stdout.contains(&format!("corrupt  {blob}\nmissing  a@{blob}\n")), "{stdout}");
    process.client.get(&format!("/v2/a/blobs/{blob}")).expect(404);
    process.client.push_blob("a", b"content");
    assert!(command(data.path(), &["scrub"]).status.success());

    let nothing = TempDir::new().unwrap();
    let failed = command(nothing.path(), &["gc", "--plan"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("contains no registry"));
}

fn path_of(registry: &std::path::Path, digest: &Digest) -> std::path::PathBuf {
    registry.join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

/// References of a corrupt manifest are no garbage.
#[test]
fn a_damaged_manifest_keeps_its_repository_and_no_other() {
    let service = Service::start();
    let client = &service.client;
    let registry = service.folder().join("data/registry");
    let (_, digest) = client.push_image("a", "v1", "1");
    let content = path_of(&registry, &digest);
    let whole = fs::read(&content).unwrap();
    let altered = String::from_utf8(whole.clone()).unwrap().replace("sha256:", "sha256:0");
    let other_digest = {
        // Another valid digest instead of the layer's.
        let layer = Digest::sha256(b"layer 1").to_string();
        let text = String::from_utf8(whole.clone()).unwrap();
        text.replace(&layer, &Digest::sha256(b"another").to_string())
    };
    for damage in [Some(other_digest), Some(altered), Some("not JSON".to_owned()), None] {
        match &damage {
            Some(text) => fs::write(&content, text).unwrap(),
            None => fs::remove_file(&content).unwrap(),
        }
        let loose = client.push_blob("b", b"named by nothing");
        client.push_blob("a", b"named by nothing known");
        // Another process, without a cached manifest.
        let storage = Storage::maintain(registry.clone()).unwrap();
        let plan = storage.plan_collection(&AT_ONCE, &none_immutable).unwrap();
        let done = storage.collect(&AT_ONCE, &none_immutable).unwrap();
        assert_eq!(plan, done, "{damage:?}");
        assert_eq!(done.damaged.len(), 1, "{damage:?}");
        assert_eq!((&done.damaged[0].digest, done.damaged[0].repository.as_str()), (&digest, "a"));
        assert!(done.manifests.is_empty() && done.tags.is_empty(), "{done:?}");
        assert_eq!(done.blobs, [("b".parse().unwrap(), loose)], "{damage:?}");
        client.get(&format!("/v2/a/blobs/{}", Digest::sha256(b"layer 1"))).expect(200);
        client
            .get(&format!("/v2/a/blobs/{}", Digest::sha256(b"named by nothing known")))
            .expect(200);
    }
    let output = command(&service.folder().join("data"), &["gc", "--run"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("damaged     a@{digest}: its content is missing")), "{text}");
    // A corrupt manifest is not served, but can be deleted.
    fs::write(&content, "not JSON").unwrap();
    let storage = Storage::maintain(registry).unwrap();
    let error = storage.manifest(&"a".parse().unwrap(), &Selector::Digest(digest.clone()));
    assert!(matches!(error, Err(StorageError::Damaged(_))), "{error:?}");
    client.delete(&format!("/v2/a/manifests/{digest}")).expect(202);
    let done = storage.collect(&AT_ONCE, &none_immutable).unwrap();
    assert!(done.damaged.is_empty(), "{done:?}");
    assert!(done.blobs.iter().any(|(_, blob)| *blob == Digest::sha256(b"layer 1")), "{done:?}");
}

/// Tags such as `sha256-HEX.sig` do not count: they are removed with their subject.
#[test]
fn signatures_live_and_die_with_their_subject() {
    let service = Service::start();
    let client = &service.client;
    let registry = service.folder().join("data/registry");
    let storage = Storage::maintain(registry.clone()).unwrap();
    let sign = |digest: &Digest| {
        let signature = client.image("a", &format!("signature of {digest}"));
        let tag = format!("{}.sig", digest.to_string().replace(':', "-"));
        client.push_manifest("a", &tag, &signature);
        tag
    };
    let start = SystemTime::now() - Duration::from_hours(1000);
    let mut signatures = Vec::new();
    for n in 0..4_u64 {
        let (_, digest) = client.push_image("a", &format!("v{n}"), &n.to_string());
        let signature = sign(&digest);
        for (tag, hours) in [(format!("v{n}"), n), (signature.clone(), n + 500)] {
            let path = registry.join("repositories/a/_tags").join(&tag);
            let set = start + Duration::from_hours(hours);
            fs::File::options().append(true).open(path).unwrap().set_modified(set).unwrap();
        }
        signatures.push(signature);
    }
    // The subject is elsewhere: some sites store signatures apart from images.
    let apart = sign(&Digest::sha256(b"elsewhere"));
    let tags = TagPattern { prefix: String::new(), tags: vec!["*".to_owned()] };
    let policy = Policy { retention: vec![Retention { tags, keep: 2 }], ..AT_ONCE };
    let plan = storage.plan_collection(&policy, &none_immutable).unwrap();
    assert_eq!(plan, storage.collect(&policy, &none_immutable).unwrap());
    let mut left =
        ["v2".to_owned(), "v3".to_owned(), apart, signatures[2].clone(), signatures[3].clone()];
    left.sort();
    let tags = client.get("/v2/a/tags/list").expect(200).json()["tags"].clone();
    assert_eq!(tags, json!(left));
    for tag in &left {
        pull(&storage, &"a".parse().unwrap(), &Selector::Tag(tag.parse().unwrap()));
    }
}

/// User id of `nobody`.
const NOBODY: u32 = 65534;

/// Maintenance by root leaves no file that the service cannot use, with any umask.
#[test]
fn maintenance_by_root_leaves_nothing_of_root() {
    use std::os::unix::fs::{MetadataExt as _, lchown};

    let folder = TempDir::new().unwrap();
    if folder.path().metadata().unwrap().uid() != 0 {
        test_support::skip(
            test_support::Requirement::Machine("root"),
            "only root can change owners",
        );
        return;
    }
    let data = folder.path().join("data");
    let storage = Storage::open(data.join("registry")).unwrap();
    push_blob(&storage, &repository(0), b"named by nothing");
    drop(storage);
    // As an earlier version left it, before the first change.
    fs::remove_file(data.join("registry/collection-lock")).unwrap();
    let mut all = vec![data.clone()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    let program = env!("CARGO_BIN_EXE_controller");
    let config = folder.path().join("c.toml");
    fs::write(&config, "[registry.gc]\ngrace = \"0s\"\n").unwrap();
    let script = "umask 077; exec \"$0\" registry gc --run --data-dir \"$1\" --config \"$2\"";
    let mut sh = Command::new("sh");
    let done = sh.args(["-c", script, program]).arg(&data).arg(&config).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let registry = data.join("registry");
    assert!(registry.join("collection-lock").exists() && registry.join("quarantine").exists());
    let mut folders = vec![registry];
    while let Some(path) = folders.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (NOBODY, NOBODY), "{}", path.display());
        if found.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// A change of a registry with few names, so that changes collide often.
#[derive(Debug, Clone)]
enum Step {
    Image { repository: u8, seed: u8, tag: Option<u8>, subject: Option<u8> },
    Index { repository: u8, of: u8, tag: u8 },
    DeleteTag { repository: u8, tag: u8 },
    DeleteManifest { repository: u8, seed: u8 },
    Collect { untagged: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let small = || 0_u8..4;
    prop_oneof![
        4 => (0_u8..2, small(), proptest::option::of(small()), proptest::option::of(small()))
            .prop_map(|(repository, seed, tag, subject)| Step::Image { repository, seed, tag, subject }),
        2 => (0_u8..2, small(), small())
            .prop_map(|(repository, of, tag)| Step::Index { repository, of, tag }),
        1 => (0_u8..2, small()).prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        1 => (0_u8..2, small())
            .prop_map(|(repository, seed)| Step::DeleteManifest { repository, seed }),
        2 => proptest::bool::ANY.prop_map(|untagged| Step::Collect { untagged }),
    ]
}

fn repository(number: u8) -> Repository {
    format!("r{number}").parse().unwrap()
}

fn push_blob(storage: &Arc<Storage>, repository: &Repository, content: &[u8]) {
    let id = storage.start_upload(repository, Algorithm::Sha256).unwrap();
    let mut session = storage.resume_upload(repository, &id).unwrap();
    session.append(&[content.to_vec().into()]).unwrap();
    session.finish(&Digest::sha256(content)).unwrap();
}

fn image(seed: u8, subject: Option<u8>) -> Value {
    let (config, layer) = (format!("config {seed}"), format!("layer {}", seed / 2));
    let mut image = json!({
        "schemaVersion": 2, "mediaType": IMAGE_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer.as_bytes())],
    });
    if let Some(subject) = subject {
        image["subject"] =
            descriptor(IMAGE_MANIFEST, self::image(subject, None).to_string().as_bytes());
    }
    image
}

fn push(storage: &Storage, repository: &Repository, manifest: &Value, tag: Option<u8>) -> bool {
    let tags: Vec<Tag> = tag.map(|tag| format!("t{tag}").parse().unwrap()).into_iter().collect();
    let content = manifest.to_string();
    let new = NewManifest {
        content: content.as_bytes(),
        digest: None,
        content_type: None,
        tags: &tags,
        immutable: &|_| false,
    };
    match storage.put_manifest(repository, &new) {
        Ok(_) => true,
        Err(StorageError::ReferencesUnknown(_)) => false,
        Err(e) => panic!("{e}"),
    }
}

/// Pulls a manifest and everything it refers to.
fn pull(storage: &Storage, repository: &Repository, selector: &Selector) {
    let manifest = storage.manifest(repository, selector).unwrap();
    assert_eq!(Digest::sha256(&manifest.content), manifest.digest);
    let document: Value = serde_json::from_slice(&manifest.content).unwrap();
    let digests = |key: &str| -> Vec<Digest> {
        let list = document[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|target| target["digest"].as_str().unwrap().parse().unwrap()).collect()
    };
    for digest in digests("layers") {
        storage.open_blob(repository, &digest).unwrap();
    }
    for digest in digests("manifests") {
        pull(storage, repository, &Selector::Digest(digest));
    }
}

fn apply(storage: &Arc<Storage>, step: &Step) {
    match *step {
        Step::Image { repository: name, seed, tag, subject } => {
            let name = repository(name);
            push_blob(storage, &name, format!("config {seed}").as_bytes());
            push_blob(storage, &name, format!("layer {}", seed / 2).as_bytes());
            assert!(push(storage, &name, &image(seed, subject), tag));
        }
        Step::Index { repository: name, of, tag } => {
            let child = descriptor(IMAGE_MANIFEST, image(of, None).to_string().as_bytes());
            let index =
                json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [child] });
            push(storage, &repository(name), &index, Some(tag));
        }
        Step::DeleteTag { repository: name, tag } => {
            let tag = format!("t{tag}").parse().unwrap();
            storage.delete_tag(&repository(name), &tag, &none_immutable).ok();
        }
        Step::DeleteManifest { repository: name, seed } => {
            // Children of an index stay: the test deletes no parts.
            let text = image(seed, Some(seed)).to_string();
            let digest = Digest::sha256(text.as_bytes());
            storage.delete_manifest(&repository(name), &digest, &none_immutable).ok();
        }
        Step::Collect { untagged } => {
            let policy = Policy { untagged, ..AT_ONCE };
            let plan = storage.plan_collection(&policy, &none_immutable).unwrap();
            assert_eq!(plan, storage.collect(&policy, &none_immutable).unwrap());
            // A second run finds nothing.
            let again = storage.collect(&policy, &none_immutable).unwrap();
            assert!(
                again.manifests.is_empty() && again.blobs.is_empty() && again.contents.is_empty()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any changes, each tag points to a complete image, and no content is lost or altered.
    #[test]
    fn every_tag_points_to_a_complete_image(steps in proptest::collection::vec(step(), 1..16)) {
        let folder = TempDir::new().unwrap();
        let storage = Storage::open(folder.path().join("registry")).unwrap();
        for step in &steps {
            apply(&storage, step);
            for number in 0..2 {
                let name = repository(number);
                let Ok(page) = storage.tags(&name, None, 100) else { continue };
                for tag in page.items {
                    pull(&storage, &name, &Selector::Tag(tag));
                }
            }
        }
        let scrub = storage.scrub().unwrap();
        prop_assert!(scrub.corrupt.is_empty() && scrub.missing.is_empty(), "{scrub:?}");
    }
}
