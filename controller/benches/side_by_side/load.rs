// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Load on the servers: pushes and pulls over a plain connection, many small requests with wrk.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use oci::Digest;

use crate::Outcome;
use crate::server::Server;

/// Duration of a wrk run.
const DURATION: &str = "4s";

/// Status and headers of a response; the body is read separately.
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

/// Sends a request with a file as its body. Returns the response head.
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

/// Pushes a file as a blob with POST and PUT.
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

/// Pushes a small image. Returns the path of its manifest by digest.
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

/// Rates of answered requests.
pub(crate) struct RequestRate {
    /// Per second.
    pub(crate) rate: f64,
    /// Per second of the server's CPU time.
    pub(crate) by_cpu: f64,
}

/// Requests one manifest over 16 connections.
pub(crate) fn manifest_gets(server: &Server, path: &str) -> Outcome<RequestRate> {
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    wrk(Command::new("wrk").args(["-t1", "-c16", "-d", DURATION, "-H", accept]), server, path)
}

/// Requests successive ranges of `length` bytes over 8 connections, from the core that the server
/// does not use.
pub(crate) fn range_gets(
    server: &Server,
    path: &str,
    length: u64,
    size: u64,
    folder: &Path,
) -> Outcome<RequestRate> {
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

fn wrk(command: &mut Command, server: &Server, path: &str) -> Outcome<RequestRate> {
    let before = server.cpu()?;
    let output = command.arg(format!("http://{}{path}", server.host)).output()?;
    let cpu = server.cpu()? - before;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || stdout.contains("Non-2xx") || stdout.contains("Socket errors") {
        return Err(format!("wrk: {stdout}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let rate = stdout.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.ok_or("no rate")?.trim().parse()?;
    let requests = stdout.lines().find_map(|line| line.split_once(" requests in "));
    let requests: f64 = requests.ok_or("no count")?.0.trim().parse()?;
    Ok(RequestRate { rate, by_cpu: requests / cpu })
}
