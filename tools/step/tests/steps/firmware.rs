// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step firmware` with a server on loopback and a mock tool.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use recipe::{TaskTarget, sha256_hex};

use crate::common::Fixture;
use crate::registry::Registry;

/// A task, and a tool that records its arguments.
fn task(url: &str, sha256: Option<&str>, exit: u8) -> Fixture {
    let mut task = Fixture::new(TaskTarget::FirmwareUpdate);
    task.provision.env.firmware_url = Some(url.parse().unwrap());
    task.provision.env.firmware_sha256 = sha256.map(|digest| digest.parse().unwrap());
    let tool = task.path("tool");
    let noted = task.path("noted").display().to_string();
    fs::write(
        &tool,
        format!(
            "#!/bin/sh\n\
             {{ echo $# \"$PROVISIONER_SERIAL\" \"$PROVISIONER_FIRMWARE_NAME\"; cat \"$1\"; }} \
             >> {noted}\n\
             echo flashing slot 0\nexit {exit}\n"
        ),
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    task
}

fn tool(task: &Fixture) -> String {
    task.path("tool").display().to_string()
}

#[test]
fn the_tool_gets_the_file_once() {
    let registry = Registry::start();
    let bytes = b"firmware ".repeat(300_000);
    let url = registry.file("blobs/bios-1.2.bin", bytes.clone());
    let task = task(&url, Some(&sha256_hex(&bytes)), 0);
    registry.break_off(2);
    let log = task.step_ok(&["firmware", "--tool", &tool(&task)]);
    assert!(log.contains("retrying from byte"), "{log}");
    assert!(registry.count_resumed() >= 1);
    let noted = fs::read(task.path("noted")).unwrap();
    let (head, body) = noted.split_at(noted.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    assert_eq!(String::from_utf8_lossy(head), "1 TEST-0001 bios-1.2.bin\n");
    assert!(body == bytes, "the tool got other bytes");
    assert!(task.step_ok(&["firmware", "--tool", &tool(&task)]).contains("nothing to do"));
    assert_eq!(fs::read(task.path("noted")).unwrap().len(), noted.len());
    assert_eq!(task.count_left_in_work(), 0);
}

#[test]
fn a_wrong_digest_never_reaches_the_tool() {
    let registry = Registry::start();
    let url = registry.file("bios.bin", b"other".to_vec());
    let task = task(&url, Some(&sha256_hex(b"expected")), 0);
    let error = task.step_fails(&["firmware", "--tool", &tool(&task)]);
    assert!(error.contains("but the recipe requires sha256:"), "{error}");
    assert!(!task.path("noted").exists());
    assert!(!task.path("state/firmware.json").exists());
}

#[test]
fn http_without_a_digest_is_refused() {
    let task = task("http://files.example/bios.bin", None, 0);
    let error = task.step_fails(&["firmware", "--tool", &tool(&task)]);
    assert!(error.contains("add the digest, or use https"), "{error}");
}

#[test]
fn a_failing_tool_is_named_with_what_it_printed() {
    let registry = Registry::start();
    let url = registry.file("bios.bin", b"x".to_vec());
    let task = task(&url, Some(&sha256_hex(b"x")), 7);
    let error = task.step_fails(&["firmware", "--tool", &tool(&task)]);
    assert!(error.contains("exit status: 7") && error.contains("flashing slot 0"), "{error}");
    assert!(!task.path("state/firmware.json").exists());
}

#[test]
fn a_missing_file_and_a_secret_in_the_url() {
    let registry = Registry::start();
    let url = registry.file("bios.bin", b"x".to_vec());
    let url = url.replace("bios.bin", "none.bin").replace("http://", "http://user:hunter2@");
    let task = task(&url, Some(&sha256_hex(b"x")), 0);
    let error = task.step_fails(&["firmware", "--tool", &tool(&task)]);
    assert!(error.contains("the server answered 404"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
