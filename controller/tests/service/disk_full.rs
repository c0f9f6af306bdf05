// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A full disk: a clear refusal, nothing half-written, and all is well once there is room again.

use std::process::{Command, Stdio};

use oci::Digest;
use tempfile::TempDir;

use crate::support::{Process, bytes};

/// A file system of 8 MiB, seen by nobody but the shell that runs `script` in it.
fn on_a_small_disk(script: &str) -> Command {
    let mut command = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$0\" && ";
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("{mount}{script}"));
    command
}

#[test]
fn a_push_that_does_not_fit_is_refused_and_leaves_no_trace() {
    let folder = TempDir::new().unwrap();
    let usable = on_a_small_disk("true").arg(folder.path()).stderr(Stdio::null()).status();
    if !usable.is_ok_and(|status| status.success()) {
        test_support::skip("unshare with user namespaces");
        return;
    }
    let serve = format!(
        "exec {} serve --listen 127.0.0.1:0 --log-level off --data-dir \"$0\"",
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

    // What fitted is there still, so that the client can go on when there is room; or it gives up.
    client.get(&location).expect(204);
    client.delete(&location).expect(204);
    let fits = bytes(5 << 20);
    let digest = client.push_blob("a", &fits);
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).expect(200).body == fits);
}
