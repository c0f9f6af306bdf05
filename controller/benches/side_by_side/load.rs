// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What is asked of the servers: pushes and pulls over a bare connection, many small requests by wrk.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use oci::Digest;

use crate::Outcome;
use crate::server::Server;

/// How long wrk asks.
const DURATION: &str = "4s";

/// An answer's status and headers; what follows is its body.
struct Head {
    status: u16,
    location: Option<String>,
    length: u64,
}

fn head(reader: &mut BufReader<TcpStream>) -> Outcome<Head> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
    let mut head = Head { status, location: None, length: 0 };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok(head) };
        match name.to_ascii_lowercase().as_str() {
            "location" => head.location = Some(value.to_owned()),
            "content-length" => head.length = value.parse()?,
            _ => {}
        }
    }
}

/// Sends a request, and a file as its body; returns the answer's head.
fn send(
    server: &Server,
    method: &str,
    path: &str,
    more: &str,
    body: Option<&Path>,
) -> Outcome<Head> {
    let mut stream = TcpStream::connect(&server.host)?;
    let length = body.map_or(Ok(0), |path| fs::metadata(path).map(|metadata| metadata.len()))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n",
        server.host
    );
    stream.write_all(head.as_bytes())?;
    if let Some(body) = body {
        io::copy(&mut File::open(body)?, &mut stream)?;
    }
    self::head(&mut BufReader::new(stream))
}

/// Pushes a file as a blob, as clients do: POST, then PUT.
pub(crate) fn push(server: &Server, file: &Path, digest: &Digest) -> Outcome<Duration> {
    let start = Instant::now();
    let begun = send(server, "POST", "/v2/bench/blobs/uploads/", "", None)?;
    let location = begun.location.ok_or("no location")?;
    let path = location.strip_prefix(&format!("http://{}", server.host)).unwrap_or(&location);
    let sign = if path.contains('?') { '&' } else { '?' };
    let kind = "Content-Type: application/octet-stream\r\n";
    let done = send(server, "PUT", &format!("{path}{sign}digest={digest}"), kind, Some(file))?;
    if done.status == 201 {
        Ok(start.elapsed())
    } else {
        Err(format!("push: {}", done.status).into())
    }
}

/// Pulls a blob of `size` bytes.
pub(crate) fn pull(server: &Server, digest: &Digest, size: u64) -> Outcome<Duration> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(&server.host)?;
    let request = format!(
        "GET /v2/bench/blobs/{digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        server.host
    );
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let mut came = reader.buffer().len() as u64;
    let mut stream = reader.into_inner();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 if head.status == 200 && came == size => return Ok(start.elapsed()),
            0 => {
                return Err(
                    format!("pull: {}, {came} of {} bytes", head.status, head.length).into()
                );
            }
            n => came += n as u64,
        }
    }
}

/// Pushes a small image; returns the path of its manifest by digest.
pub(crate) fn push_image(server: &Server) -> Outcome<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("content");
    let descriptor = |media_type: &str, content: &str| -> Outcome<String> {
        fs::write(&file, content)?;
        let digest = Digest::sha256(content.as_bytes());
        push(server, &file, &digest)?;
        let size = content.len();
        Ok(format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#))
    };
    let config = descriptor("application/vnd.oci.image.config.v1+json", "{}")?;
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar", "layer")?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer}]}}"#
    );
    fs::write(&file, &manifest)?;
    let path = format!("/v2/bench/manifests/{}", Digest::sha256(manifest.as_bytes()));
    let kind = format!("Content-Type: {media_type}\r\n");
    let put = send(server, "PUT", &path, &kind, Some(&file))?;
    if put.status == 201 {
        Ok(path)
    } else {
        Err(format!("push of a manifest: {}", put.status).into())
    }
}

/// How often a server answered.
pub(crate) struct Gets {
    /// In a second.
    pub(crate) rate: f64,
    /// In a second of its processor time.
    pub(crate) by_cpu: f64,
}

/// Requests for one manifest, over 16 connections.
pub(crate) fn manifest_gets(server: &Server, path: &str) -> Outcome<Gets> {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    wrk(Command::new("wrk").args(["-t1", "-c16", "-d", DURATION, "-H", accept]), server, path)
}

/// Requests for ranges of `length` bytes, one after another, over 8 connections; on the
/// core that the server does not have.
pub(crate) fn range_gets(
    server: &Server,
    path: &str,
    length: u64,
    size: u64,
    folder: &Path,
) -> Outcome<Gets> {
    let script = folder.join("ranges.lua");
    let text = format!(
        "local at = 0
         request = function()
             local first = at
             at = (at + {length}) % {size}
             local range = 'bytes=' .. string.format('%d-%d', first, first + {length} - 1)
             return wrk.format('GET', nil, {{ ['Range'] = range }})
         end"
    );
    fs::write(&script, text)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "wrk", "-t1", "-c8", "-d", DURATION, "-s"]).arg(&script);
    wrk(&mut command, server, path)
}

fn wrk(command: &mut Command, server: &Server, path: &str) -> Outcome<Gets> {
    let before = server.cpu()?;
    let output = command.arg(format!("http://{}{path}", server.host)).output()?;
    let cpu = server.cpu()? - before;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || told.contains("Non-2xx") || told.contains("Socket errors") {
        return Err(format!("wrk: {told}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let rate = told.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.ok_or("no rate")?.trim().parse()?;
    let requests = told.lines().find_map(|line| line.split_once(" requests in "));
    let requests: f64 = requests.ok_or("no count")?.0.trim().parse()?;
    Ok(Gets { rate, by_cpu: requests / cpu })
}
