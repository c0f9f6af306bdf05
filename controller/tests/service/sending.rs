// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sending of files: several on one connection, pipelined, to slow readers, and with TLS, where
//! sendfile(2) is not possible.

use std::fmt::Write as _;
use std::io::{BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use controller::media::{Image, Media};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::api::{CONFIG, prepare_folder};
use crate::secure::certificate;
use crate::support::{Process, Service, bytes};

/// More than the buffers of a connection, and no multiple of the piece size.
const SIZE: usize = 9_000_001;

/// Stores an image. Returns its URL.
fn image(data: &std::path::Path, content: &[u8]) -> String {
    let media = Media::open(data.join("media")).unwrap();
    let image = Image::from_name("large.iso").unwrap();
    std::fs::write(media.path(&image), content).unwrap();
    media.address(&image, SystemTime::now() + Duration::from_hours(1)).unwrap()
}

/// Reads the next response. Returns status and body.
fn answer(reader: &mut impl std::io::BufRead, head: bool) -> (u16, Vec<u8>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; if head { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    (status, body)
}

/// Reads in small pieces.
struct Slow(TcpStream);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::yield_now();
        let most = buffer.len().min(7001);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn every_answer_on_one_connection_is_the_file_that_was_asked_for() {
    let service = Service::start();
    let content = bytes(SIZE);
    let address = image(&service.folder().join("data"), &content);
    let small = service.push_blob("a", b"a small blob");
    let blob = service.push_blob("a", &content[..300_000]);
    let asks: Vec<(&str, String, String, u16, Vec<u8>)> = vec![
        ("GET", address.clone(), String::new(), 200, content.clone()),
        ("HEAD", address.clone(), String::new(), 200, Vec::new()),
        ("GET", address.clone(), "bytes=5-5".into(), 206, content[5..6].into()),
        (
            "GET",
            address.clone(),
            "bytes=1048570-3145735".into(),
            206,
            content[1_048_570..3_145_736].into(),
        ),
        ("GET", format!("{address}x"), String::new(), 404, Vec::new()),
        ("GET", address.clone(), format!("bytes={SIZE}-"), 416, Vec::new()),
        ("GET", format!("/v2/a/blobs/{small}"), String::new(), 200, b"a small blob".into()),
        ("HEAD", format!("/v2/a/blobs/{blob}"), String::new(), 200, Vec::new()),
        ("GET", format!("/v2/a/blobs/{blob}"), String::new(), 200, content[..300_000].into()),
        ("GET", "/healthz".into(), String::new(), 200, Vec::new()),
        ("GET", address.clone(), "bytes=-9".into(), 206, content[SIZE - 9..].into()),
    ];
    let request = |(method, path, range, ..): &(&str, String, String, u16, Vec<u8>)| {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
        if !range.is_empty() {
            write!(head, "Range: {range}\r\n").unwrap();
        }
        head + "\r\n"
    };
    let check = |reader: &mut dyn std::io::BufRead, ask: &(&str, String, String, u16, Vec<u8>)| {
        let mut reader = reader;
        let (status, body) = answer(&mut reader, ask.0 == "HEAD");
        assert_eq!(status, ask.3, "{} {} {}", ask.0, ask.1, ask.2);
        let is_file = matches!(ask.3, 200 | 206) && ask.1 != "/healthz";
        assert!(!is_file || body == ask.4, "{} {} {}", ask.0, ask.1, ask.2);
    };
    // Sequential requests.
    let mut stream = TcpStream::connect(service.host()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for ask in &asks {
        stream.write_all(request(ask).as_bytes()).unwrap();
        check(&mut reader, ask);
    }
    // Pipelined requests, read slowly.
    let all: String = asks.iter().map(request).collect();
    stream.write_all(all.as_bytes()).unwrap();
    let mut reader = BufReader::with_capacity(1000, Slow(stream));
    for ask in &asks {
        check(&mut reader, ask);
    }
}

#[test]
fn several_ranges_arrive_with_their_delimiters() {
    let service = Service::start();
    let content = bytes(SIZE);
    let address = image(&service.folder().join("data"), &content);
    let range = [("range", "bytes=0-2999999,4000000-4000002")];
    let reply = service.send("GET", &address, &range, b"").expect(206);
    let boundary = reply.header("content-type").split_once("boundary=").unwrap().1.to_owned();
    assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    let part = |from: usize, to: usize| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {from}-{}/{SIZE}\r\n\r\n",
            to - 1
        );
        [head.as_bytes(), &content[from..to]].concat()
    };
    let end = format!("\r\n--{boundary}--\r\n");
    let expected = [part(0, 3_000_000), part(4_000_000, 4_000_003), end.into_bytes()].concat();
    assert!(reply.body == expected);
}

/// A client that disconnects does not affect others.
#[test]
fn a_client_that_hangs_up_harms_nobody() {
    let service = Service::start();
    let content = bytes(SIZE);
    let address = image(&service.folder().join("data"), &content);
    for _ in 0..5 {
        let mut stream = TcpStream::connect(service.host()).unwrap();
        write!(stream, "GET {address} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut vec![0; 100_000]).unwrap();
    }
    assert!(service.get(&address).expect(200).body == content);
}

#[test]
fn through_tls_the_file_itself_is_encrypted() {
    let folder = prepare_folder();
    let Some(()) = certificate(folder.path(), "tls") else { return };
    let config =
        format!("{CONFIG}[tls]\ncertificate = \"FOLDER/tls.pem\"\nkey = \"FOLDER/tls-key.pem\"\n");
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
    let data = folder.path().join("data");
    let content = bytes(SIZE);
    let address = image(&data, &content);
    let process = Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_controller"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "trace", "--config"])
            .arg(&file)
            .arg("--data-dir")
            .arg(&data),
    );
    let pem = std::fs::read(folder.path().join("tls.pem")).unwrap();
    let roots = RootCerts::Specific(Arc::new(vec![Certificate::from_pem(&pem).unwrap()]));
    let tls = TlsConfig::builder().root_certs(roots).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
    let url = format!("{}{address}", process.client.url());
    for (range, expected) in
        [("bytes=0-", &content[..]), ("bytes=1000000-5000000", &content[1_000_000..=5_000_000])]
    {
        let mut answer = agent.get(&url).header("range", range).call().unwrap();
        assert_eq!(answer.status().as_u16(), 206);
        let body = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap();
        assert!(body == expected, "{range}");
    }
}
