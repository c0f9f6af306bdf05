// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A registry on a loopback port that serves what a test puts into it, and can be told to break off.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use recipe::sha256_hex;
use serde_json::{Value, json};

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
    /// Answers to `blobs/` that break off in the middle before the next whole one.
    breaks: AtomicUsize,
    /// Requests for a part of a blob.
    resumed: AtomicUsize,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    /// Stores layers (media type and bytes) as the image `os/NAME:1`; its reference.
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

    /// Serves other bytes of the same length under the digest of `bytes`.
    pub(crate) fn corrupt(&self, name: &str, bytes: &[u8]) {
        let mut wrong = bytes.to_vec();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 1;
        let path = format!("os/{name}/blobs/sha256:{}", sha256_hex(bytes));
        self.put(&path, "application/octet-stream", wrong);
    }

    /// The next `count` answers with a blob break off in the middle.
    pub(crate) fn break_off(&self, count: usize) {
        self.shared.breaks.store(count, Ordering::SeqCst);
    }

    /// How often a client went on with a part of a blob.
    pub(crate) fn resumed(&self) -> usize {
        self.shared.resumed.load(Ordering::SeqCst)
    }

    /// `http://` URL of a file that is stored with [`Registry::file`].
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
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            if self.answer(&head, stream).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &[String], mut stream: &TcpStream) -> std::io::Result<()> {
        let path = head[0].split(' ').nth(1).unwrap_or_default();
        let Some((content_type, bytes)) = self.contents.lock().unwrap().get(path).cloned() else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let from = head.iter().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok()
        });
        let total = bytes.len();
        let bytes = &bytes[from.unwrap_or(0).min(total)..];
        if let Some(from) = from {
            self.resumed.fetch_add(1, Ordering::SeqCst);
            let last = total.saturating_sub(1);
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{last}/{total}\r\n"
            )?;
        } else {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
        }
        write!(stream, "Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
        let broken = path.contains("/blobs/")
            && self
                .breaks
                .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        if broken {
            stream.write_all(&bytes[..bytes.len() / 2])?;
            stream.flush()?;
            stream.shutdown(std::net::Shutdown::Both)?;
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        stream.write_all(bytes)
    }
}
