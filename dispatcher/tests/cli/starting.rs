// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Starting the target, with a mock `systemctl`.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::machine::{Ended, Machine, RECIPE, run};

/// Runs with a `systemctl` that records its arguments, prints `state` for `show`, and exits with
/// `code` for `start`. Without a state there is no `systemctl`.
fn start(machine: &Machine, recipe: &str, state: Option<&str>, code: u8) -> Ended {
    let bin = machine.path("bin");
    fs::create_dir_all(&bin).unwrap();
    if let Some(state) = state {
        let calls = machine.path("calls").display().to_string();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{calls}'\n[ \"$1\" = show ] && {{ echo {state}; exit; }}\n\
             echo 'Job failed' >&2; exit {code}\n"
        );
        let systemctl = machine.write("bin/systemctl", script);
        fs::set_permissions(systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatcher"));
    command.arg("--root").arg(machine.path("")).arg(machine.task(recipe)).env("PATH", bin);
    run(&mut command)
}

#[test]
fn an_installed_target_is_started() {
    let machine = Machine::new();
    let ended = start(&machine, RECIPE, Some("loaded"), 0);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        fs::read_to_string(machine.path("calls")).unwrap(),
        "show --property=LoadState --value install-linux.target\n\
         --no-block start install-linux.target\n"
    );
}

#[test]
fn a_target_that_can_not_be_started_is_an_error() {
    for (state, code, message) in [
        (
            Some("not-found"),
            0,
            "cannot start install-linux.target: it is not installed on this image",
        ),
        (Some("masked"), 0, "systemd can't load it: masked"),
        (
            Some("loaded"),
            1,
            "systemctl --no-block start install-linux.target: exit status: 1: Job failed",
        ),
        (None, 0, "systemctl show"),
    ] {
        let machine = Machine::new();
        let ended = start(&machine, RECIPE, state, code);
        assert_eq!(ended.code, Some(16), "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
        // The task is already written: it can be inspected, and started by hand.
        assert_eq!(machine.provision().env.task_target.as_str(), "install-linux.target");
    }
}

#[test]
fn another_target_than_the_known_ones_is_not_given_to_systemctl() {
    for target in ["poweroff.target", "--help.target", "site.target"] {
        let machine = Machine::new();
        let recipe = format!(r#"{{"task_target":"{target}"}}"#);
        let ended = start(&machine, &recipe, Some("loaded"), 0);
        assert_eq!(ended.code, Some(14), "{ended:?}");
        assert!(ended.stderr.contains("/task_target must be one of "), "{ended:?}");
        assert!(!machine.path("calls").exists());
    }
}
