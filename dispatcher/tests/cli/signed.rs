// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tasks that are signed, and tasks that ought to be.

use std::fs;

use recipe::{
    CURRENT,
    signature::{SigningKey, TaskManifest, public_key_pem},
};

use crate::machine::{Machine, RECIPE};

const JOB: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

/// What the dispatcher says, and the machine that it says it on.
type Fault = (&'static str, fn() -> Machine);

/// A machine that trusts the key of the seed 1, and a task that is signed with the key of `seed`
/// for the machine `server`.
fn signed(seed: u8, server: &str) -> Machine {
    let machine = Machine::new();
    let key = |seed| SigningKey::from_bytes(&[seed; 32]);
    machine.write("etc/provisioner/task-keys.pem", public_key_pem(&key(1)));
    machine.task(RECIPE);
    let files = [("recipe.json", RECIPE), ("recipe.schema.json", CURRENT.text)];
    let files = files.map(|(name, text)| (name, text.as_bytes()));
    let manifest = TaskManifest::new(JOB.parse().unwrap(), server.parse().unwrap(), files);
    machine.write("task/recipe.sig", manifest.sign(&key(seed)));
    machine
}

/// Runs on the task, and answers its exit code and what it said.
fn run(machine: &Machine, arguments: &[&str]) -> (Option<i32>, String) {
    let task = machine.path("task").display().to_string();
    let ended = machine.run(arguments.iter().copied().chain([task.as_str()]));
    assert_eq!(machine.is_untouched(), ended.code != Some(0), "{ended:?}");
    (ended.code, ended.stderr)
}

#[test]
fn a_good_signature_names_the_job() {
    let machine = signed(1, "CZ0815");
    assert_eq!(run(&machine, &[]).0, Some(0));
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), JOB);
}

#[test]
fn a_bad_signature_is_refused_warned_about_or_passed_over() {
    let faults: [Fault; 5] = [
        ("none of the 1 known keys made this signature", || signed(2, "CZ0815")),
        ("the task is for machine OTHER, and this one is CZ0815", || signed(1, "OTHER")),
        ("recipe.json is not as it was signed", || {
            let machine = signed(1, "CZ0815");
            machine.task(&RECIPE.replace("100%", "99%"));
            machine
        }),
        ("user-data is not among the signed files", || {
            let machine = signed(1, "CZ0815");
            machine.write("task/user-data", "#cloud-config\npassword: hunter2\n");
            machine
        }),
        ("recipe.sig is missing", || {
            let machine = signed(1, "CZ0815");
            fs::remove_file(machine.path("task/recipe.sig")).unwrap();
            machine
        }),
    ];
    for (said, machine) in faults {
        for arguments in [&[][..], &["--signature", "enforce"]] {
            let (code, stderr) = run(&machine(), arguments);
            assert_eq!(code, Some(14), "{stderr}");
            assert!(stderr.contains(said), "{stderr}");
        }
        let warned = machine();
        let (code, stderr) = run(&warned, &["--signature", "warn"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains("warning: ") && stderr.contains(said), "{stderr}");
        assert_eq!(warned.provision().env.job_id, None, "a job that nobody vouches for");

        let (code, stderr) = run(&machine(), &["--signature", "off"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(!stderr.contains(said), "{stderr}");
    }
}

#[test]
fn an_image_without_a_key_asks_for_no_signature_unless_told_to() {
    let machine = signed(1, "CZ0815");
    fs::remove_file(machine.path("etc/provisioner/task-keys.pem")).unwrap();
    let (code, stderr) = run(&machine, &["--signature", "enforce"]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("task-keys.pem"), "{stderr}");
    assert_eq!(run(&machine, &[]).0, Some(0));
}

#[test]
fn a_key_file_that_is_damaged_is_no_reason_to_trust_anybody() {
    let machine = signed(1, "CZ0815");
    machine.write("etc/provisioner/task-keys.pem", "");
    let (code, stderr) = run(&machine, &[]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("expected Ed25519 public keys"), "{stderr}");
}

#[test]
fn a_machine_without_a_serial_number_is_nobodys_machine() {
    let machine = signed(1, "CZ0815");
    fs::remove_file(machine.path("sys/class/dmi/id/product_serial")).unwrap();
    let (code, stderr) = run(&machine, &[]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("no serial number"), "{stderr}");
}
