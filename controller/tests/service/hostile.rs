// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Malicious or broken clients: the service keeps serving others, and shuts down on time.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::api::{self, PASSWORD};
use crate::support::{Client, IMAGE_MANIFEST, Process, Service, serve};

/// Far longer than any operation here, and shorter than the test runner's time-out.
const HANG: Duration = Duration::from_mins(1);

/// More requests than tokio has blocking threads.
const MANY: usize = 540;

const CONFIG: &str = "[server]\nshutdown_timeout = \"300ms\"\nmax_connections_per_address = 1024\n";

fn process(folder: &Path, config: &str) -> Process {
    Process::spawn(serve(folder, config).env_remove("CONTROLLER_LOG_LEVEL"))
}

/// Opens a connection and sends one request. Reads time out after [`HANG`].
fn send(client: &Client, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(client.host()).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

/// Reads until the server closes the connection.
fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // A connection that was closed for another may be reset.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("no answer: {error}"),
        _ => answer,
    }
}

fn status(stream: TcpStream) -> u16 {
    let answer = answer(stream);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Starts to append to an upload, and stalls once the service has begun to read.
fn stall(client: &Client, location: &str) -> TcpStream {
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"
    );
    let mut stream = send(client, &head);
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    stream.write_all(b"ab").unwrap();
    stream
}

#[track_caller]
fn terminate(process: &mut Process) {
    process.signal(Signal::TERM);
    let start = Instant::now();
    while process.child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < HANG, "it does not end on SIGTERM");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_stalled_upload_does_not_stop_the_service() {
    let folder = TempDir::new().unwrap();
    let mut process = process(folder.path(), CONFIG);
    let client = process.client.clone();
    let location = client.start_upload("a/b");
    let stalled = stall(&client, &location);
    let waiting: Vec<_> = (0..MANY).map(|_| send(&client, &get(&location))).collect();
    for path in ["/readyz", "/v2/a/b/tags/list", "/metrics", "/healthz"] {
        let expected = if path.starts_with("/v2") { 404 } else { 200 };
        assert_eq!(status(send(&client, &get(path))), expected, "{path}");
    }
    for stream in waiting {
        let answer = answer(stream);
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert!(answer.contains("retry-after: ") && answer.contains("TOOMANYREQUESTS"), "{answer}");
    }
    // A disconnect releases the upload.
    drop(stalled);
    client.send("PATCH", &location, &[("content-range", "2-3")], b"cd").expect(202);
    let stalled = stall(&client, &location);
    let waiting: Vec<_> = (0..MANY).map(|_| send(&client, &get(&location))).collect();
    terminate(&mut process);
    drop((stalled, waiting));
}

/// A garbage collection that is suspended while it holds its lock.
#[test]
fn changes_that_wait_for_a_lock_stop_nobody_else() {
    let folder = TempDir::new().unwrap();
    let mut process = process(folder.path(), CONFIG);
    let client = process.client.clone();
    let (manifest, digest) = client.push_image("a", "v1", "1");
    let lock = File::open(folder.path().join("data/registry/collection-lock")).unwrap();
    lock.lock().unwrap();
    let body = manifest.to_string();
    let head = format!(
        "PUT /v2/a/manifests/v2 HTTP/1.1\r\nHost: x\r\nContent-Type: {IMAGE_MANIFEST}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let waiting: Vec<_> = (0..MANY).map(|_| send(&client, &head)).collect();
    let by_digest = format!("/v2/a/manifests/{digest}");
    for path in ["/healthz", "/readyz", "/metrics", "/v2/a/tags/list", by_digest.as_str()] {
        assert_eq!(status(send(&client, &get(path))), 200, "{path}");
    }
    // Waiting threads do not block the shutdown.
    terminate(&mut process);
    drop((waiting, lock));
}

#[test]
fn a_body_that_stops_coming_ends_with_408() {
    let service = Service::with("[server]\nstall_timeout = \"100ms\"\n");
    let head = |line: &str, kind: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n{{"
        )
    };
    let location = service.start_upload("a");
    for request in [
        head("PUT /v2/a/manifests/v1", IMAGE_MANIFEST),
        head(&format!("PATCH {location}"), "application/octet-stream"),
    ] {
        assert_eq!(status(send(&service.client, &request)), 408, "{request}");
    }
    // Data received before the stall is kept.
    let reply = service.get(&location).expect(204);
    assert_eq!(reply.header("range"), "0-0");

    let config = format!("{}[server]\nstall_timeout = \"100ms\"\n", api::CONFIG);
    let service = api::service_with(&config);
    let request = head("PUT /api/v1/servers/S1", "application/json").replace(
        "\r\n\r\n",
        &format!("\r\nAuthorization: {}\r\n\r\n", api::basic("ops", PASSWORD)),
    );
    assert_eq!(status(send(&service.client, &request)), 408);
}

/// Clients that send requests and read no response.
#[test]
fn answers_that_nobody_reads_are_given_up() {
    let service = Service::with("[server]\nstall_timeout = \"1s\"\n");
    let blob = crate::support::bytes(32 << 20);
    let digest = service.push_blob("a", &blob);
    let request = get(&format!("/v2/a/blobs/{digest}"));
    let mut streams: Vec<_> = (0..8).map(|_| send(&service.client, &request)).collect();
    // All responses have started, so all connections were accepted.
    for stream in &mut streams {
        stream.read_exact(&mut [0]).unwrap();
    }
    // The connections are closed, although their clients hold them open.
    let start = Instant::now();
    loop {
        let metrics = service.get("/metrics").expect(200).text();
        let open = metrics.lines().find_map(|line| line.strip_prefix("provisioner_connections "));
        if open.unwrap().parse::<usize>().unwrap() <= 4 {
            break;
        }
        assert!(start.elapsed() < HANG, "{metrics}");
        std::thread::sleep(Duration::from_millis(10));
    }
    for mut stream in streams {
        let mut length = 0;
        let mut buffer = vec![0; 1 << 20];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            length += n;
        }
        assert!(length < blob.len(), "the whole answer came");
    }
    // A client that reads gets everything.
    assert!(service.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == blob);
}

#[test]
fn a_flood_of_connections_leaves_health_and_webhook() {
    let limits = "[server]\nmax_connections = 64\nmax_connections_per_address = 32\n";
    let service = api::service_with(&format!("{limits}{}", api::CONFIG));
    let client = &service.client;
    // More silent connections than the limit and the reserve together.
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(TcpStream::connect(client.host()).unwrap());
        if held.len() % 50 == 0 {
            assert_eq!(status(send(client, &get("/healthz"))), 200, "{}", held.len());
            assert_eq!(status(send(client, &get("/readyz"))), 200, "{}", held.len());
        }
    }
    let report = r#"{"status":"success"}"#;
    let request = format!(
        "POST /api/v1/status-webhook/S1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         X-Webhook-Secret: wrong\r\nContent-Length: {}\r\n\r\n{report}",
        report.len()
    );
    assert_eq!(status(send(client, &request)), 401);
    for path in ["/v2/", "/metrics", "/"] {
        let answer = answer(send(client, &get(path)));
        assert!(answer.starts_with("HTTP/1.1 503"), "{path}: {answer}");
        assert!(answer.contains("too_many_connections"), "{path}: {answer}");
    }
    drop(held);
    let start = Instant::now();
    while status(send(client, &get("/v2/"))) != 200 {
        assert!(start.elapsed() < HANG);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn another_site_can_not_use_the_login_of_a_browser() {
    let (service, ops) = api::service_with_server();
    // A text/plain form with one field: JSON that contains an equals sign.
    let mut job = api::new_job("S1");
    job["recipe"]["metadata"] = json!({ "a": "=" });
    let body = job.to_string();
    let post =
        |headers: &[(&str, &str)]| ops.send("POST", "/api/v1/jobs", headers, body.as_bytes());
    let plain = ("content-type", "text/plain");
    let json = ("content-type", "application/json");
    let evil = ("origin", "http://evil.example");
    post(&[plain, evil, ("sec-fetch-site", "cross-site")]).expect_problem(403, "cross_site");
    post(&[json, evil]).expect_problem(403, "cross_site");
    post(&[json, ("origin", "null")]).expect_problem(403, "cross_site");
    post(&[json, ("sec-fetch-site", "same-site")]).expect_problem(403, "cross_site");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        post(&[("content-type", kind)]).expect_problem(415, "unsupported_media_type");
    }
    // Requests without a body, too.
    let id = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    for path in [format!("/api/v1/jobs/{id}/cancel"), format!("/api/v1/jobs/{id}/retry")] {
        ops.send("POST", &path, &[evil], b"").expect_problem(403, "cross_site");
    }
    ops.send("DELETE", "/api/v1/servers/S1", &[evil], b"").expect_problem(403, "cross_site");
    // The registry has the same check.
    let push = "/v2/a/blobs/uploads/";
    service.send("POST", push, &[evil], b"").expect_error(403, "DENIED");
    let (_, digest) = service.push_image("a", "v1", "1");
    let path = format!("/v2/a/manifests/{digest}");
    service.send("DELETE", &path, &[("sec-fetch-site", "cross-site")], b"").expect(403);
    service.send("GET", &path, &[evil], b"").expect(200);
    // Pages of the same origin are allowed.
    let own = format!("http://{}", service.host());
    post(&[json, ("origin", &own)]).expect(202);
    let same = [evil, ("sec-fetch-site", "same-origin")];
    service.send("POST", push, &same, b"").expect(202);
}

#[test]
fn guesses_are_limited_in_the_registry_and_count_everywhere() {
    let config = format!("{}[registry]\nhtpasswd = \"FOLDER/users\"\n", api::CONFIG);
    let service = api::service_with(&config);
    let client = &service.client;
    let guess = |n: usize| client.login("ops", &format!("wrong-{n}")).get("/v2/").status;
    let mut refused = 0;
    std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..60).map(|n| scope.spawn(move || guess(n))).collect();
        for guess in guesses {
            match guess.join().unwrap() {
                401 => {}
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
    });
    assert!(refused >= 35, "{refused} of 60 refused");
    let right = client.login("ops", PASSWORD);
    right.get("/v2/").expect_error(429, "TOOMANYREQUESTS").header("retry-after");
    right.get("/api/v1/jobs").expect_problem(429, "too_many_requests");
    // Clients without credentials are not affected.
    client.get("/v2/").expect(200);
    let metrics = client.get("/metrics").expect(200).text();
    let failed = "provisioner_failed_logins_total{interface=\"registry\"} ";
    let failed = metrics.lines().find_map(|line| line.strip_prefix(failed)).unwrap();
    assert!((20..=25).contains(&failed.parse::<u32>().unwrap()), "{failed}");
}

/// Password guessing does not block reports of a host with the same address.
#[test]
fn an_authentic_report_is_taken_whatever_was_guessed_before() {
    let (service, ops) = api::service_with_server();
    let job = api::send(&ops, "POST", "/api/v1/jobs", &api::new_job("S1")).expect(202).json();
    let id = job["job_id"].as_str().unwrap();
    api::wait_until(&ops, id, |job| job["step"] == "webhook.wait");
    let report = json!({ "status": "success", "job_id": id }).to_string();
    let send = |secret: &str| {
        let headers = [("x-webhook-secret", secret)];
        service.send("POST", "/api/v1/status-webhook/S1", &headers, report.as_bytes())
    };
    assert!((0..100).any(|_| send("wrong").status == 429));
    ops.get("/api/v1/jobs").expect_problem(429, "too_many_requests");
    send(&api::secret_of(id, 0)).expect(200);
}

/// Behind a trusted proxy each client has its own limit; otherwise the header is ignored.
#[test]
fn guesses_behind_a_trusted_proxy_are_limited_per_client() {
    let guess = |service: &Service, from: &str| {
        let headers = [("authorization", "Bearer wrong"), ("x-forwarded-for", from)];
        service.send("GET", "/api/v1/jobs", &headers, b"").status
    };
    for (trusted, expected) in [("\"127.0.0.1\"", 401), ("", 429)] {
        let server = format!("[server]\ntrusted_proxies = [{trusted}]\n");
        let service = api::service_with(&format!("{server}{}", api::CONFIG));
        assert!((0..100).any(|_| guess(&service, "192.0.2.1") == 429));
        assert_eq!(guess(&service, "192.0.2.2"), expected);
    }
}
