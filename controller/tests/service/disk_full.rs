// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A full disk: clear errors, no incomplete data, and recovery when space is available.

use std::fs;
use std::process::{Command, Stdio};

use mock_bmc::{Source, find_personality};
use oci::Digest;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::api::{
    CONFIG, PASSWORD, booted_job, new_job, prepare_folder, secret_of, send, wait_until,
};
use crate::support::{Process, bytes, mock};

/// Runs `script` in a shell with a private file system of 8 MiB.
fn on_a_small_disk(script: &str) -> Command {
    let mut command = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$0\" && ";
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("{mount}{script}"));
    command
}

/// Returns a mount point; None if this user cannot mount.
fn mount_point() -> Option<TempDir> {
    test_support::find("unshare")?;
    let folder = TempDir::new().unwrap();
    let usable = on_a_small_disk("true").arg(folder.path()).stderr(Stdio::null()).status();
    test_support::machine_gives("user namespaces", usable.unwrap().success()).then_some(folder)
}

#[test]
fn a_push_that_does_not_fit_is_refused_and_leaves_no_trace() {
    let Some(folder) = mount_point() else { return };
    let serve = format!(
        "exec {} serve --listen 127.0.0.1:0 --log-level trace --data-dir \"$0\"",
        env!("CARGO_BIN_EXE_controller")
    );
    let process = Process::spawn(on_a_small_disk(&serve).arg(folder.path()));
    let client = &process.client;
    let small = client.push_blob("a", &bytes(1 << 20));
    let large = bytes(12 << 20);
    let digest = Digest::sha256(&large);
    let location = client.start_upload("a");
    let path = format!("{location}?digest={digest}");
    client.send("PUT", &path, &[], &large).expect_error(507, "UNKNOWN");
    client.head(&format!("/v2/a/blobs/{digest}")).expect(404);
    client.get("/healthz").expect(200);
    assert!(client.get(&format!("/v2/a/blobs/{small}")).expect(200).body == bytes(1 << 20));

    // Received data is kept, so that the client can resume or cancel.
    client.get(&location).expect(204);
    client.delete(&location).expect(204);
    let fits = bytes(5 << 20);
    let digest = client.push_blob("a", &fits);
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == fits);
}

/// No space for the database: nothing unsaved is acknowledged, hosts are asked to repeat reports,
/// and an active job continues when space is available.
#[test]
fn a_job_waits_for_room() {
    let Some(folder) = mount_point() else { return };
    let settings = prepare_folder();
    let config = CONFIG.replace("FOLDER", settings.path().to_str().unwrap());
    let file = settings.path().join("c.toml");
    fs::write(&file, config).unwrap();
    let serve = format!(
        "mkdir -p \"$0/media/static\" && echo image > \"$0/media/static/maintenance.iso\" && \
         exec {} serve --listen 127.0.0.1:0 --log-level trace --config {} --data-dir \"$0\"",
        env!("CARGO_BIN_EXE_controller"),
        file.display()
    );
    let process = Process::spawn(on_a_small_disk(&serve).arg(folder.path()));
    let (client, ops) = (&process.client, process.client.login("ops", PASSWORD));
    let runtime = Runtime::new().unwrap();
    let (mock, server) = mock(&runtime, find_personality("generic").unwrap());
    send(&ops, "PUT", "/api/v1/servers/S1", &server).expect(201);
    send(&ops, "PUT", "/api/v1/servers/S2", &server).expect(201);
    let id = &booted_job(&ops, "S1");

    // Fill the disk with uploads of decreasing size.
    let mut uploads = Vec::new();
    for size in [1 << 20, 64 << 10, 4 << 10] {
        let location = client.start_upload("a");
        while client.send("PATCH", &location, &[], &bytes(size)).status == 202 {}
        uploads.push(location);
    }
    // The write-ahead log may have room for a few more.
    let mut made = 0;
    let refused = loop {
        let mut new = new_job("S2");
        new["recipe"]["user_data"] = "x".repeat(500_000).into();
        let reply = send(&ops, "POST", "/api/v1/jobs", &new);
        if reply.status != 202 {
            break reply;
        }
        made += 1;
        assert!(made < 50);
    };
    refused.expect_problem(507, "disk_full");
    let report = || {
        let body = format!(r#"{{"status":"success","delivery_id":"1","job_id":"{id}"}}"#);
        let secret = secret_of(id, 0);
        let headers = [("x-webhook-secret", secret.as_str())];
        client.send("POST", "/api/v1/status-webhook/S1", &headers, body.as_bytes()).status
    };
    // Small changes may still fit; acknowledged ones are kept.
    let first = report();
    assert!(matches!(first, 200 | 507), "{first}");
    client.get("/healthz").expect(200);
    for location in uploads {
        client.delete(&location).expect(204);
    }
    assert_eq!(report(), 200);
    let done = wait_until(&ops, id, |job| job["status"] == "complete");
    assert_eq!(done["outcome"], "succeeded", "{done:#}");
    let boots = mock.boots();
    let from_cd = boots.iter().filter(|boot| boot.source != Source::Disk).count();
    assert_eq!((from_cd, boots.len()), (1, 2), "{boots:?}");
}
