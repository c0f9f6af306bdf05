// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The attacks. Each ends by itself and closes its connections.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::{OURS, attacker, connect, read, request, send};
use super::site::{LOGIN, Site};

/// Attacks the site and checks its responses.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) attack: fn(&Site) -> Result<()>,
}

/// All attacks, in order.
pub(super) const ATTACKS: &[Attack] = &[
    Attack { name: "stalled requests on each endpoint", attack: stall_request },
    Attack { name: "2,000 idle connections", attack: hold_idle },
    Attack { name: "pipelined requests, never read", attack: leave_unread },
    Attack { name: "huge headers", attack: headers },
    Attack { name: "deep and huge JSON", attack: json },
    Attack { name: "wrong lengths", attack: lengths },
    Attack { name: "10,000 wrong logins", attack: logins },
    Attack { name: "a BMC with endless responses", attack: endless_bmc },
    Attack { name: "aborted uploads and pulls", attack: aborts },
];

/// Timeout of an attacker's request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long connections are held open.
const HELD: Duration = Duration::from_secs(5);
/// Number of connections that send nothing.
const IDLE: usize = 2_000;
/// Number of stalled connections per endpoint.
const STALLED: usize = 8;
/// Number of password guesses.
const LOGINS: u64 = 10_000;
/// Threads that guess passwords.
const GUESSERS: u64 = 32;
/// Statuses of a refused login: wrong credentials, or rate limited.
const REFUSED: [u16; 3] = [401, 403, 429];

/// One endpoint of each kind. Requests with a body stall in it, the others in their headers.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/jobs"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/media/static/maintenance.iso"),
    ("GET", "/v2/"),
    ("GET", "/v2/a/b/manifests/x"),
    ("POST", "/api/v1/jobs"),
    ("PUT", "/api/v1/servers/X"),
    ("POST", "/api/v1/status-webhook/X"),
    ("POST", "/v2/a/b/blobs/uploads/"),
    ("PUT", "/v2/a/b/manifests/x"),
];

/// Opens connections that send a partial request.
fn stall(site: &Site, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for (method, path) in ENDPOINTS {
        for _ in 0..count {
            // A refused connection is a valid defence.
            let Ok(mut stream) = connect(attacker(), site.address, PATIENCE) else { continue };
            let start = format!("{method} {path} HTTP/1.1\r\nHost: smoke\r\n");
            let rest =
                if *method == "GET" { "X-Slow: " } else { "Content-Length: 1000\r\n\r\n{\"a\":" };
            stream.write_all(format!("{start}{rest}").as_bytes()).ok();
            held.push(stream);
        }
    }
    held
}

/// Sends a byte now and then to keep an unfinished request alive.
fn stall_request(site: &Site) -> Result<()> {
    let mut held = stall(site, STALLED);
    ensure!(!held.is_empty(), "no connection was accepted");
    for _ in 0..HELD.as_secs() {
        std::thread::sleep(Duration::from_secs(1));
        held.retain_mut(|stream| stream.write_all(b"x").is_ok());
    }
    Ok(())
}

/// Connections that stall while the controller shuts down.
pub(super) fn hold(site: &Site) -> Result<Vec<TcpStream>> {
    let held = stall(site, 2);
    ensure!(!held.is_empty(), "no connection was accepted");
    Ok(held)
}

/// Idle connections; every second one has sent a request first.
fn hold_idle(site: &Site) -> Result<()> {
    let once = b"GET /healthz HTTP/1.1\r\nHost: smoke\r\n\r\n";
    let open = |number: usize| {
        let mut stream = connect(attacker(), site.address, Duration::from_secs(1)).ok()?;
        if number.is_multiple_of(2) {
            stream.write_all(once).ok();
        }
        Some(stream)
    };
    let held: Vec<_> = (0..IDLE).filter_map(open).collect();
    ensure!(held.len() > IDLE / 2, "only {} connections could be opened", held.len());
    std::thread::sleep(HELD);
    Ok(())
}

/// Pipelines requests and never reads the responses.
fn leave_unread(site: &Site) -> Result<()> {
    let one = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: smoke\r\n\r\n";
    let many = one.repeat(2_000);
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(attacker(), site.address, Duration::from_millis(100))?;
        // The socket buffer fills up, since no response is read.
        stream.write_all(&many).ok();
        held.push(stream);
    }
    std::thread::sleep(HELD);
    Ok(())
}

/// Sends an invalid request; no response or an error status is correct.
fn expect_refusal(site: &Site, what: &str, bytes: &[u8]) -> Result<()> {
    match send(attacker(), site.address, bytes, PATIENCE) {
        Ok(answer) => {
            ensure!(answer.status >= 400, "{what} got status {}", answer.status);
            ensure!(answer.status < 500 || answer.status == 503, "{what}: {}", answer.status);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            anyhow::bail!("{what} got no response and was not closed within {PATIENCE:?}")
        }
        Err(_) => Ok(()),
    }
}

fn headers(site: &Site) -> Result<()> {
    let long = "x".repeat(1 << 20);
    let many: Vec<_> = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let many = many.concat();
    let start = "GET /api/v1/jobs HTTP/1.1\r\nHost: smoke\r\n";
    expect_refusal(site, "a header of 1 MiB", format!("{start}X-Long: {long}\r\n\r\n").as_bytes())?;
    expect_refusal(site, "10,000 headers", format!("{start}{many}\r\n").as_bytes())?;
    let path = format!("GET /{long} HTTP/1.1\r\nHost: smoke\r\n\r\n");
    expect_refusal(site, "a path of 1 MiB", path.as_bytes())?;
    let line = format!("{start}Authorization: Basic {long}\r\n\r\n");
    expect_refusal(site, "credentials of 1 MiB", line.as_bytes())
}

fn json(site: &Site) -> Result<()> {
    let kind = [("Content-Type", "application/json"), ("Authorization", LOGIN)];
    for body in ["[".repeat(1 << 20), "{\"a\":".repeat(100_000), "9".repeat(4 << 20)] {
        for (method, path) in ENDPOINTS.iter().filter(|(method, _)| *method != "GET") {
            // The registry stores upload bodies without parsing them.
            if path.ends_with("uploads/") {
                continue;
            }
            let what = format!("{method} {path} with {} bytes of JSON", body.len());
            expect_refusal(site, &what, &request(method, path, &kind, body.as_bytes()))?;
        }
    }
    Ok(())
}

fn lengths(site: &Site) -> Result<()> {
    let start = "POST /api/v1/jobs HTTP/1.1\r\nHost: smoke\r\nConnection: close\r\n";
    let kind = "Content-Type: application/json\r\n";
    for rest in [
        "Content-Length: -1\r\n\r\n{}",
        "Content-Length: 99999999999999999999999\r\n\r\n{}",
        "Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
        "Content-Length: 2, 9\r\n\r\n{}",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: identity, chunked, chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 1\r\n\r\n{\"more\": \"than one byte\"}",
    ] {
        expect_refusal(site, rest, format!("{start}{kind}{rest}").as_bytes())?;
    }
    Ok(())
}

fn logins(site: &Site) -> Result<()> {
    let address = site.address;
    let wrong = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for guesser in 0..GUESSERS {
            let wrong = wrong.clone();
            scope.spawn(move || {
                for guess in 0..LOGINS / GUESSERS {
                    let path = if guess % 2 == 0 { "/v2/" } else { "/api/v1/jobs" };
                    // Three bytes in base64 without padding: `a:` and part of the guess.
                    let login =
                        format!("Basic b3BzOmd1ZXNz{:04}", (guesser * 400 + guess) % 10_000);
                    let bytes = request("GET", path, &[("Authorization", &login)], b"");
                    match send(attacker(), address, &bytes, PATIENCE) {
                        Ok(answer) if REFUSED.contains(&answer.status) => {}
                        // A refused connection does not count as a login.
                        Ok(answer) if answer.status == 503 => {}
                        Err(_) => {}
                        Ok(_) => drop(wrong.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    let wrong = wrong.load(Ordering::Relaxed);
    ensure!(wrong == 0, "{wrong} of {LOGINS} wrong logins were not refused");
    Ok(())
}

/// A BMC whose every response is an endless document.
fn endless_bmc(site: &Site) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let url = format!("http://{}", listener.local_addr().context("cannot listen")?);
    listener.set_nonblocking(true).context("cannot listen")?;
    let end = Arc::new(AtomicBool::new(false));
    let ended = end.clone();
    let server = std::thread::spawn(move || {
        let mut answering = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let ended = ended.clone();
                    answering.push(std::thread::spawn(move || answer_endlessly(stream, &ended)));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        answering.into_iter().map(|it| it.join().unwrap_or_default()).sum::<u64>()
    });
    let id = site.install("ENDLESS", &url)?;
    std::thread::sleep(HELD);
    let path = format!("/api/v1/jobs/{id}");
    let job = site.operator("GET", &path, None)?;
    let cancelled = site.operator("POST", &format!("{path}/cancel"), None)?;
    end.store(true, Ordering::Relaxed);
    let sent = server.join().ok().context("the BMC panicked")?;
    ensure!(job.status == 200, "starting the job got status {}", job.status);
    ensure!(cancelled.status < 500, "cancelling got status {}", cancelled.status);
    ensure!(sent > 0, "the controller did not connect to the BMC");
    Ok(())
}

/// Sends an endless response and returns the number of bytes sent.
fn answer_endlessly(mut stream: TcpStream, ended: &AtomicBool) -> u64 {
    let patience = Some(Duration::from_secs(1));
    if stream.set_nonblocking(false).is_err()
        || stream.set_read_timeout(patience).is_err()
        || stream.set_write_timeout(patience).is_err()
    {
        return 0;
    }
    // Reads a part of the request first: a response before the request is invalid.
    stream.read_exact(&mut [0; 16]).ok();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut text = String::from("10000\r\n");
    text.push_str(&"[".repeat(0x1_0000));
    text.push_str("\r\n");
    let mut sent = 0;
    let mut next = head.as_bytes();
    while !ended.load(Ordering::Relaxed) && stream.write_all(next).is_ok() {
        sent += next.len() as u64;
        next = text.as_bytes();
    }
    sent
}

/// Aborts an upload and a pull after various amounts of data; after that both work.
fn aborts(site: &Site) -> Result<()> {
    let blob: Vec<u8> = (0..1_u32 << 20).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let digest = oci::Digest::sha256(&blob).hex().to_owned();
    let login = [("Authorization", LOGIN), ("Content-Type", "application/octet-stream")];
    let open = || -> Result<String> {
        let answer = send(
            OURS,
            site.address,
            &request("POST", "/v2/a/b/blobs/uploads/", &login, b""),
            PATIENCE,
        )?;
        ensure!(answer.status == 202, "starting an upload got status {}", answer.status);
        let location = answer.header("location").context("an upload has no Location")?;
        // The location is a path or an absolute URL.
        let at = location.find("/v2/").context("the Location of an upload is not below /v2/")?;
        Ok(location.get(at..).unwrap_or_default().to_owned())
    };
    let finish = |location: &str| {
        let mark = if location.contains('?') { '&' } else { '?' };
        format!("{location}{mark}digest=sha256:{digest}")
    };
    for method in ["PATCH", "PUT"] {
        let whole = |location: &str| {
            let path = if method == "PUT" { finish(location) } else { location.to_owned() };
            request(method, &path, &login, &blob)
        };
        let length = whole(&open()?).len();
        let head = length - blob.len();
        for cut in [1, 4, head / 2, head - 2, head, head + 1, head + blob.len() / 2, length - 1] {
            let bytes = whole(&open()?);
            let mut stream = connect(OURS, site.address, PATIENCE)?;
            stream.write_all(bytes.get(..cut).unwrap_or_default()).ok();
        }
    }
    let location = open()?;
    let stored =
        send(OURS, site.address, &request("PUT", &finish(&location), &login, &blob), PATIENCE)?;
    ensure!(stored.status == 201, "a complete upload got status {}", stored.status);
    let pull = request("GET", &format!("/v2/a/b/blobs/sha256:{digest}"), &login[..1], b"");
    for cut in [1, 16, 4096, 65_536, 500_000] {
        let mut stream = connect(OURS, site.address, PATIENCE)?;
        stream.write_all(&pull)?;
        stream.read_exact(&mut vec![0; cut])?;
    }
    let mut stream = connect(OURS, site.address, PATIENCE)?;
    stream.write_all(&pull)?;
    let answer = read(&mut stream)?;
    ensure!(
        answer.status == 200 && answer.body == blob,
        "the pulled blob differs from the pushed one"
    );
    Ok(())
}
