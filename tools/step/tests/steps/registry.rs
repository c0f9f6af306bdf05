// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A registry on loopback that serves test images and can drop connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use recipe::sha256_hex;
use serde_json::{Value, json};
use test_support::http::{Answer, Request, Server, answer};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) struct Registry {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Path to content type and bytes.
    contents: Mutex<HashMap<String, (String, Vec<u8>)>>,
    /// Number of blob responses to truncate.
    breaks: AtomicUsize,
    /// Range requests for blobs.
    resumed: AtomicUsize,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let server = Server::start(move |request| served.answer(request));
        Self { address: server.address().to_owned(), shared }
    }

    /// Stores layers (media type and bytes) as the image `os/NAME:1`; returns its reference.
    pub(crate) fn image(&self, name: &str, layers: &[(&str, Vec<u8>)]) -> String {
        let digest = self.manifest(name, layers);
        let manifest = self.get(&format!("os/{name}/manifests/{digest}"));
        self.put(&format!("os/{name}/manifests/1"), MANIFEST, manifest);
        self.reference(name)
    }

    /// Stores an index as `os/NAME:1` with one image for each platform `OS/ARCHITECTURE`.
    pub(crate) fn index(&self, name: &str, images: &[(&str, Vec<u8>)]) -> String {
        let manifests: Vec<Value> = images
            .iter()
            .map(|(platform, layer)| {
                let (os, architecture) = platform.split_once('/').unwrap();
                let digest = self.manifest(name, &[("application/x-tar", layer.clone())]);
                let size = self.get(&format!("os/{name}/manifests/{digest}")).len();
                json!({
                    "mediaType": MANIFEST, "digest": digest, "size": size,
                    "platform": {"os": os, "architecture": architecture},
                })
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.put(&format!("os/{name}/manifests/1"), INDEX, index.to_string().into_bytes());
        self.reference(name)
    }

    /// Replaces the blob of `bytes` by other bytes of the same length.
    pub(crate) fn corrupt(&self, name: &str, bytes: &[u8]) {
        let mut wrong = bytes.to_vec();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 1;
        let path = format!("os/{name}/blobs/sha256:{}", sha256_hex(bytes));
        self.put(&path, "application/octet-stream", wrong);
    }

    /// Removes the blob of `bytes`.
    pub(crate) fn remove_blob(&self, name: &str, bytes: &[u8]) {
        let path = format!("/v2/os/{name}/blobs/sha256:{}", sha256_hex(bytes));
        self.shared.contents.lock().unwrap().remove(&path);
    }

    /// Truncates the next `count` blob responses.
    pub(crate) fn break_off(&self, count: usize) {
        self.shared.breaks.store(count, Ordering::SeqCst);
    }

    /// Number of range requests for blobs.
    pub(crate) fn count_resumed(&self) -> usize {
        self.shared.resumed.load(Ordering::SeqCst)
    }

    /// Stores a file and returns its `http://` URL.
    pub(crate) fn file(&self, name: &str, bytes: Vec<u8>) -> String {
        self.put(name, "application/octet-stream", bytes);
        format!("http://{}/v2/{name}", self.address)
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/os/{name}:1", self.address)
    }

    fn manifest(&self, name: &str, layers: &[(&str, Vec<u8>)]) -> String {
        let blob = |media_type: &str, bytes: &[u8]| {
            let digest = format!("sha256:{}", sha256_hex(bytes));
            let path = format!("os/{name}/blobs/{digest}");
            self.put(&path, "application/octet-stream", bytes.to_vec());
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = blob("application/vnd.oci.empty.v1+json", b"{}");
        let layers: Vec<Value> =
            layers.iter().map(|(media_type, bytes)| blob(media_type, bytes)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let bytes = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", sha256_hex(&bytes));
        self.put(&format!("os/{name}/manifests/{digest}"), MANIFEST, bytes);
        digest
    }

    fn put(&self, path: &str, content_type: &str, bytes: Vec<u8>) {
        let entry = (content_type.to_owned(), bytes);
        self.shared.contents.lock().unwrap().insert(format!("/v2/{path}"), entry);
    }

    fn get(&self, path: &str) -> Vec<u8> {
        self.shared.contents.lock().unwrap()[&format!("/v2/{path}")].1.clone()
    }
}

impl Shared {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let Some((content_type, mut bytes)) =
            self.contents.lock().unwrap().get(&request.target).cloned()
        else {
            return answer(404);
        };
        let range = request.header("range").and_then(|it| it.strip_prefix("bytes="));
        let from: Option<usize> = range.and_then(|it| it.strip_suffix('-')?.parse().ok());
        let total = bytes.len();
        let reply = if let Some(from) = from {
            self.resumed.fetch_add(1, Ordering::SeqCst);
            bytes.drain(..from.min(total));
            let range = format!("bytes {from}-{}/{total}", total.saturating_sub(1));
            answer(206).header("Content-Range", range)
        } else {
            answer(200)
        };
        let half = bytes.len() as u64 / 2;
        let reply = reply.header("Content-Type", content_type).body(bytes);
        let broken = request.target.contains("/blobs/")
            && self
                .breaks
                .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        if broken { reply.cut(half) } else { reply }
    }
}
