// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signed tasks, and unsigned tasks where a signature is required.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use iso9660::task::TaskIso;
use recipe::{
    CURRENT,
    signature::{SigningKey, TaskManifest, Validity, public_key_pem},
};

use crate::machine::{Machine, RECIPE};

const JOB: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

/// A message of the dispatcher, and the host that causes it.
type Fault = (&'static str, fn() -> Machine);

/// A host that trusts the key of the seed 1, and a task signed with the key of `seed` for the host
/// `server`.
fn make_signed(seed: u8, server: &str) -> Machine {
    let machine = Machine::new();
    let key = |seed| SigningKey::from_bytes(&[seed; 32]);
    machine.write("etc/provisioner/task-keys.pem", public_key_pem(&key(1)));
    machine.task(RECIPE);
    let files = [("recipe.json", RECIPE), ("recipe.schema.json", CURRENT.text)];
    let files = files.map(|(name, text)| (name, text.as_bytes()));
    let (job, server) = (JOB.parse().unwrap(), server.parse().unwrap());
    let manifest = TaskManifest::new(job, server, valid_for(-60, 3600), files);
    machine.write("task/recipe.sig", manifest.sign(&key(seed)));
    machine
}

/// Validity from and until this many seconds from now.
fn valid_for(created: i64, expires: i64) -> Validity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = |seconds| now.checked_add_signed(seconds).unwrap();
    Validity { created: at(created), expires: at(expires) }
}

/// An image of a task for this host, signed with the key of `seed`.
fn image(seed: u8, job: &str, validity: Validity) -> TaskIso {
    let mut iso = TaskIso {
        job_id: job.to_owned(),
        recipe: RECIPE.into(),
        schema: CURRENT.text.into(),
        ..TaskIso::default()
    };
    sign(&mut iso, seed, validity);
    iso
}

fn sign(iso: &mut TaskIso, seed: u8, validity: Validity) {
    let (job, server) = (iso.job_id.parse().unwrap(), "CZ0815".parse().unwrap());
    let manifest = TaskManifest::new(job, server, validity, iso.files());
    iso.signature = Some(manifest.sign(&SigningKey::from_bytes(&[seed; 32])).into());
}

/// A host that trusts the key of the seed 1.
fn make_trusting() -> Machine {
    let machine = Machine::new();
    let key = public_key_pem(&SigningKey::from_bytes(&[1; 32]));
    machine.write("etc/provisioner/task-keys.pem", key);
    machine
}

/// Runs the search; returns the job, or exit code and output.
fn search(machine: &Machine) -> Result<String, (Option<i32>, String)> {
    let ended = machine.run([""; 0]);
    if ended.code == Some(0) {
        Ok(machine.provision().env.job_id.unwrap().to_string())
    } else {
        Err((ended.code, ended.stderr))
    }
}

/// Runs on the task; returns exit code and output.
fn run(machine: &Machine, arguments: &[&str]) -> (Option<i32>, String) {
    let task = machine.path("task").display().to_string();
    let ended = machine.run(arguments.iter().copied().chain([task.as_str()]));
    assert_eq!(machine.is_untouched(), ended.code != Some(0), "{ended:?}");
    (ended.code, ended.stderr)
}

#[test]
fn a_good_signature_names_the_job() {
    let machine = make_signed(1, "CZ0815");
    assert_eq!(run(&machine, &[]).0, Some(0));
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), JOB);
}

#[test]
fn a_bad_signature_is_refused_warned_about_or_passed_over() {
    let faults: [Fault; 5] = [
        ("none of the 1 known keys made this signature", || make_signed(2, "CZ0815")),
        ("the task is for host OTHER, but this host is CZ0815", || make_signed(1, "OTHER")),
        ("recipe.json differs from the signed file", || {
            let machine = make_signed(1, "CZ0815");
            machine.task(&RECIPE.replace("100%", "99%"));
            machine
        }),
        ("user-data is not among the signed files", || {
            let machine = make_signed(1, "CZ0815");
            machine.write("task/user-data", "#cloud-config\npassword: hunter2\n");
            machine
        }),
        ("recipe.sig is missing", || {
            let machine = make_signed(1, "CZ0815");
            fs::remove_file(machine.path("task/recipe.sig")).unwrap();
            machine
        }),
    ];
    for (message, machine) in faults {
        for arguments in [&[][..], &["--signature", "enforce"]] {
            let (code, stderr) = run(&machine(), arguments);
            assert_eq!(code, Some(14), "{stderr}");
            assert!(stderr.contains(message), "{stderr}");
        }
        let warned = machine();
        let (code, stderr) = run(&warned, &["--signature", "warn"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains("warning: ") && stderr.contains(message), "{stderr}");
        assert_eq!(warned.provision().env.job_id, None, "a job that nobody vouches for");

        let (code, stderr) = run(&machine(), &["--signature", "off"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(!stderr.contains(message), "{stderr}");
    }
}

#[test]
fn an_image_without_a_key_requires_no_signature_by_default() {
    let machine = make_signed(1, "CZ0815");
    fs::remove_file(machine.path("etc/provisioner/task-keys.pem")).unwrap();
    let (code, stderr) = run(&machine, &["--signature", "enforce"]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("task-keys.pem"), "{stderr}");
    assert_eq!(run(&machine, &[]).0, Some(0));
}

#[test]
fn a_key_file_that_is_damaged_is_no_reason_to_trust_anybody() {
    let machine = make_signed(1, "CZ0815");
    machine.write("etc/provisioner/task-keys.pem", "");
    let (code, stderr) = run(&machine, &[]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("expected Ed25519 public keys"), "{stderr}");
}

#[test]
fn a_machine_without_a_serial_number_is_nobodys_machine() {
    let machine = make_signed(1, "CZ0815");
    fs::remove_file(machine.path("sys/class/dmi/id/product_serial")).unwrap();
    let (code, stderr) = run(&machine, &[]);
    assert_eq!(code, Some(14), "{stderr}");
    assert!(stderr.contains("no serial number"), "{stderr}");
}

#[test]
fn a_refused_medium_does_not_hide_the_right_one() {
    let machine = make_trusting();
    let fresh = || valid_for(-60, 3600);
    let bytes = |iso: TaskIso| iso.to_bytes().unwrap();
    machine.device("sr0", &bytes(image(2, "evil-1", fresh())));
    let unsigned = TaskIso { signature: None, ..image(1, "evil-2", fresh()) };
    machine.device("sr1", &bytes(unsigned));
    // Signed for a medium with another label.
    let relabelled = TaskIso { job_id: "other".to_owned(), ..image(1, "good", fresh()) };
    machine.device("sr2", &bytes(relabelled));
    let (code, message) = search(&machine).unwrap_err();
    assert_eq!(code, Some(14), "{message}");
    assert!(message.contains("signed as TASK_GOOD and has the label TASK_OTHER"), "{message}");
    assert!(machine.is_untouched());

    machine.device("sdb", &bytes(image(1, "good", fresh())));
    assert_eq!(search(&machine).unwrap(), "good");
}

#[test]
fn a_task_that_is_kept_can_not_be_used_again() {
    let machine = make_trusting();
    let mut old = image(1, "old", valid_for(-7200, -3600));
    old.controller = Some(
        br#"{"webhook_url": "https://c.example/x", "webhook_secret": "s", "job_id": "old"}"#.into(),
    );
    sign(&mut old, 1, valid_for(-7200, -3600));
    machine.device("sr0", &old.to_bytes().unwrap());
    let (code, message) = search(&machine).unwrap_err();
    assert_eq!(code, Some(14), "{message}");
    assert!(message.contains("the task expired 360") && message.contains("fix: "), "{message}");
    assert!(!machine.path("run/provision").exists());
    // It is authentic, so the failure may be reported to its controller.
    assert!(machine.path("run/controller/webhook.env").exists());
    let ended = machine.run(["--signature", "warn"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// The clock of a host may be late, or set back by a previous user.
#[test]
fn no_task_is_valid_before_another_was_signed() {
    let machine = make_trusting();
    let old = image(1, "old", valid_for(-60, 3600)).to_bytes().unwrap();
    machine.device("sr0", &old);
    assert_eq!(search(&machine).unwrap(), "old");
    // For this task the clock is two hours late.
    let new = image(1, "new", valid_for(7200, 9000)).to_bytes().unwrap();
    machine.device("sr1", &new);
    assert_eq!(search(&machine).unwrap(), "new");
    // Alone it is valid too: a late clock is no reason to reject a new task.
    machine.device("sr0", b"");
    assert_eq!(search(&machine).unwrap(), "new");
    // Of several valid tasks, the newest is used.
    machine.device("sr0", &image(1, "newer", valid_for(7300, 9000)).to_bytes().unwrap());
    assert_eq!(search(&machine).unwrap(), "newer");
}
