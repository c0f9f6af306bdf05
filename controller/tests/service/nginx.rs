// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares image responses with nginx, the server that BMC firmware is commonly tested with.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use controller::media::{Image, Media};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::raw::{RawReply, request};
use crate::support::{Service, bytes};

/// An nginx on a socket in its folder; stopped on drop.
struct Nginx {
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Serves the files below `root`.
    fn start(root: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .concat();
        let config = format!(
            "master_process off; pid {here}/pid; error_log {here}/log;
             events {{}}
             http {{
                 access_log off; max_ranges 64; default_type application/octet-stream;
                 {temporary}
                 server {{ listen unix:{here}/socket; root {}; }}
             }}",
            root.display()
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let nginx = Self { folder };
        // It daemonizes once its socket listens.
        let status = nginx.command().status().unwrap();
        assert!(status.success(), "nginx does not start");
        nginx
    }

    fn command(&self) -> Command {
        let mut command = Command::new(test_support::find("nginx").unwrap());
        let folder = self.folder.path();
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.arg("-e").arg(folder.join("log"));
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Fails if it never ran.
        self.command().args(["-s", "stop"]).status().ok();
    }
}

/// The same file, served by both.
struct Pair {
    nginx: Nginx,
    service: Service,
    /// Path of the file on the service.
    address: String,
    name: &'static str,
}

impl Pair {
    fn new(content: &[u8]) -> Self {
        let service = Service::start();
        let media = Media::open(service.folder().join("data/media")).unwrap();
        let name = "x.iso";
        let image = Image::from_name(name).unwrap();
        fs::write(media.path(&image), content).unwrap();
        let expires = SystemTime::now() + Duration::from_hours(1);
        let address = media.address(&image, expires).unwrap();
        let nginx = Nginx::start(media.path(&image).parent().unwrap());
        Self { nginx, service, address, name }
    }

    /// Sends a request to both. ETAG and DATE in headers are replaced by each server's own values.
    fn ask(&self, method: &str, headers: &[(&str, &str)]) -> [RawReply; 2] {
        let theirs = || UnixStream::connect(self.nginx.socket()).unwrap();
        let ours = || TcpStream::connect(self.service.host()).unwrap();
        let path = format!("/{}", self.name);
        let filled = |head: RawReply| -> Vec<(String, String)> {
            let fill = |value: &str| {
                value
                    .replace("ETAG", &head.headers["etag"])
                    .replace("DATE", &head.headers["last-modified"])
            };
            headers.iter().map(|(name, value)| ((*name).to_owned(), fill(value))).collect()
        };
        let for_theirs = filled(request(theirs(), "HEAD", &path, &[]));
        let for_ours = filled(request(ours(), "HEAD", &self.address, &[]));
        [
            request(theirs(), method, &path, &borrow_headers(&for_theirs)),
            request(ours(), method, &self.address, &borrow_headers(&for_ours)),
        ]
    }

    /// Fails if relevant facts differ.
    fn compare(&self, method: &str, headers: &[(&str, &str)]) {
        let [theirs, ours] = self.ask(method, headers).each_ref().map(facts);
        assert_eq!(ours, theirs, "{method} {headers:?}: ours and nginx's");
    }
}

fn borrow_headers(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Facts that affect clients: status, headers, and the body as text.
fn facts(reply: &RawReply) -> (u16, Vec<(&'static str, String)>, String) {
    let mut headers = Vec::new();
    let mut text = String::from_utf8_lossy(&reply.body).into_owned();
    let content = matches!(reply.status, 200 | 206);
    for name in ["content-range", "last-modified"] {
        headers.extend(reply.headers.get(name).map(|value| (name, value.clone())));
    }
    if content {
        let mut kind = reply.headers["content-type"].as_str();
        let mut length: usize = reply.headers["content-length"].parse().unwrap();
        // Boundaries differ. Their length counts once per part, and at the end.
        if let Some((_, boundary)) = kind.split_once("boundary=") {
            kind = "multipart";
            length = text.replace(boundary, "").len();
            text = text.replace(boundary, "BOUNDARY");
        }
        headers.push(("content-type", kind.to_owned()));
        headers.push(("content-length", length.to_string()));
        // nginx omits it in partial responses.
        if reply.status == 200 {
            headers.push(("accept-ranges", reply.headers["accept-ranges"].clone()));
        }
    } else {
        // Error texts differ.
        text.clear();
    }
    // nginx sends the date in some error responses.
    if !content && reply.status != 304 {
        headers.retain(|(name, _)| *name != "last-modified");
    }
    (reply.status, headers, text)
}

#[test]
fn a_file_is_answered_as_nginx_answers_it() {
    test_support::need!(&["nginx"]);
    let pair = Pair::new(&bytes(1000));
    let many = format!("bytes={}", vec!["0-0"; 64].join(","));
    let too_many = format!("{many},0-0");
    let range = |text| ("Range", text);
    let first = range("bytes=0-9");
    for headers in [
        &[][..],
        &[first],
        &[range("bytes=990-")],
        &[range("bytes=-10")],
        &[range("bytes=-5000")],
        &[range("bytes=900-5000")],
        &[range("bytes=999-999")],
        &[range("bytes=1000-")],
        &[range("bytes=0-9,20-29")],
        &[range("bytes=20-29, 0-9,-1")],
        &[range("bytes=0-9,5000-")],
        &[range("bytes=0-999")],
        &[range("bytes=0-,0-")],
        &[range("bytes=0-499,500-999")],
        &[range("bytes=0-499,499-999")],
        &[range(&many)],
        &[range(&too_many)],
        &[range("bytes=9223372036854775807-")],
        &[range("bytes=9223372036854775808-")],
        &[range("bytes=0-9223372036854775807")],
        &[range("bytes=0-99999999999999999999")],
        &[range("bits=0-9")],
        &[range("BYTES=0-9")],
        &[range("bytes")],
        &[range("bytes=")],
        &[first, ("If-Range", "ETAG")],
        &[first, ("If-Range", "\"other\"")],
        &[first, ("If-Range", "W/ETAG")],
        &[first, ("If-Range", "DATE")],
        &[first, ("If-Range", "Thu, 01 Jan 1970 00:00:00 GMT")],
        &[first, ("If-Range", "nonsense")],
        &[("If-None-Match", "ETAG")],
        &[("If-None-Match", "\"a\", W/ETAG")],
        &[("If-None-Match", "*")],
        &[("If-None-Match", "\"other\"")],
        &[first, ("If-None-Match", "ETAG")],
        &[("If-Modified-Since", "DATE")],
        &[("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")],
        &[("If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT")],
        &[("If-Match", "ETAG")],
        &[("If-Match", "*")],
        &[("If-Match", "\"other\"")],
        &[first, ("If-Match", "\"other\"")],
        &[("If-Unmodified-Since", "DATE")],
        &[("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")],
    ] {
        pair.compare("GET", headers);
        pair.compare("HEAD", headers);
    }
}

#[test]
fn any_range_is_answered_as_nginx_answers_it() {
    test_support::need!(&["nginx"]);
    let pair = Pair::new(&bytes(30));
    let empty = Pair::new(b"");
    // Half of the inputs resemble ranges, half are arbitrary.
    let nearly = proptest::collection::vec("( ?[0-9]{0,2} ?- ?[0-9]{0,2} ?)", 1..4);
    let ranges = prop_oneof![nearly.prop_map(|all| all.join(",")), "[-0-9, a]{0,12}"];
    let config =
        ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&ranges, |ranges| {
            // Trailing spaces belong to the line, not to the value.
            let value = format!("bytes={ranges}");
            pair.compare("GET", &[("Range", &value)]);
            empty.compare("GET", &[("Range", &value)]);
            Ok(())
        })
        .unwrap();
}
