// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Walks of images crafted to be expensive.

use std::cell::Cell;

use release::Architecture;
use serde_json::{Value, json};

use super::*;

/// Documents in memory, with a counter of reads.
#[derive(Default)]
struct Memory {
    documents: BTreeMap<Digest, Vec<u8>>,
    reads: Cell<usize>,
}

impl Memory {
    fn put(&mut self, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        let size = bytes.len();
        self.documents.insert(digest.clone(), bytes);
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    }

    fn manifest(&mut self, config: &Value, layers: &[Value]) -> Value {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "config": config,
            "layers": layers,
        });
        self.put(media_type::IMAGE_MANIFEST, &document)
    }

    fn index(&mut self, manifests: &[Value]) -> Value {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_INDEX,
            "manifests": manifests,
        });
        self.put(media_type::IMAGE_INDEX, &document)
    }

    fn walk(&self, root: &Value) -> Walk {
        let text = |name: &str| root[name].as_str().unwrap().to_owned();
        let image = Image {
            repository: "x".to_owned(),
            layout: "images/x".to_owned(),
            digest: text("digest"),
            media_type: text("mediaType"),
            architectures: vec![Architecture::Amd64],
            tags: Vec::new(),
        };
        Walk::run(&image, self)
    }
}

impl Store for Memory {
    fn document(&self, digest: &Digest, _media_type: &str) -> Result<Vec<u8>, Problem> {
        self.reads.set(self.reads.get() + 1);
        self.documents.get(digest).cloned().ok_or(Problem::Missing)
    }

    fn contents(&self, _blobs: &BTreeSet<(Digest, u64)>) -> Vec<(Digest, Problem)> {
        Vec::new()
    }
}

fn empty(memory: &mut Memory) -> Value {
    memory.put(media_type::EMPTY, &json!({}))
}

fn fault(walk: &Walk) -> String {
    walk.faults.iter().map(|(_, problem)| problem.to_string()).collect::<Vec<_>>().join("\n")
}

/// Each manifest references the previous one `fan` times.
#[test]
fn a_chain_of_manifests_ends_at_its_first_link() {
    for (depth, fan) in [(60, 2), (20_000, 1)] {
        let mut memory = Memory::default();
        let mut last = empty(&mut memory);
        for _ in 0..depth {
            last = memory.manifest(&last.clone(), &vec![last.clone(); fan - 1]);
        }
        let walk = memory.walk(&last);
        assert!(fault(&walk).contains("expected only blobs"), "{}", fault(&walk));
        assert_eq!(memory.reads.get(), 1);
    }
}

#[test]
fn an_index_in_an_index_is_refused() {
    let mut memory = Memory::default();
    let config = empty(&mut memory);
    let manifest = memory.manifest(&config, &[]);
    let inner = memory.index(&[manifest]);
    let outer = memory.index(&[inner]);
    let walk = memory.walk(&outer);
    assert!(fault(&walk).contains("expected only manifests"), "{}", fault(&walk));
    assert_eq!(memory.reads.get(), 1);
}

#[test]
fn a_manifest_that_is_named_often_is_read_once() {
    let mut memory = Memory::default();
    let config = empty(&mut memory);
    let manifest = memory.manifest(&config, std::slice::from_ref(&config));
    let index = memory.index(&vec![manifest; DOCUMENTS]);
    let walk = memory.walk(&index);
    assert_eq!(fault(&walk), "");
    assert_eq!(memory.reads.get(), 2);
    assert_eq!(walk.reached_digests().count(), 3);
}

#[test]
fn a_manifest_that_is_named_with_two_sizes_is_noted() {
    let mut memory = Memory::default();
    let config = empty(&mut memory);
    let manifest = memory.manifest(&config, &[]);
    let mut wrong = manifest.clone();
    wrong["size"] = 1.into();
    let index = memory.index(&[manifest, wrong]);
    let walk = memory.walk(&index);
    assert!(fault(&walk).contains("expected 1"), "{}", fault(&walk));
}

#[test]
fn manifests_and_blobs_have_a_limit() {
    let mut memory = Memory::default();
    let config = empty(&mut memory);
    let manifests: Vec<_> = (0..=DOCUMENTS)
        .map(|n| {
            let layer = memory.put(media_type::IMAGE_LAYER, &json!(n));
            memory.manifest(&config, &[layer])
        })
        .collect();
    let index = memory.index(&manifests);
    let walk = memory.walk(&index);
    assert!(fault(&walk).contains("more than 256 manifests"), "{}", fault(&walk));
    assert_eq!(memory.reads.get(), 1);

    let blobs: Vec<_> =
        (0..=BLOBS).map(|n| memory.put(media_type::IMAGE_LAYER, &json!(n))).collect();
    let manifest = memory.manifest(&config, &blobs);
    let walk = memory.walk(&manifest);
    assert!(fault(&walk).contains("more than 10000 blobs"), "{}", fault(&walk));
}
