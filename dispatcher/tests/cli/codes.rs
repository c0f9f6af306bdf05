// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Each failure: exit code, message, and no written files.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use recipe::CURRENT;

use crate::machine::{Machine, RECIPE, iso, run, xorriso};

/// Expects that a run on the task fails with `code`, prints `message` and writes nothing.
fn fails(machine: &Machine, source: &str, code: i32, message: &str) {
    let ended = machine.run([machine.path(source)]);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(message), "{ended:?}");
    assert!(machine.is_untouched(), "something was written");
}

#[test]
fn the_command_line_is_wrong() {
    let machine = Machine::new();
    for arguments in [&["--bogus"][..], &["--signature", "maybe"], &["a", "b"], &[""]] {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("Try `dispatcher --help`"), "{ended:?}");
    }
}

#[test]
fn there_is_no_medium() {
    let machine = Machine::new();
    fails(&machine, "dev/sr7", 10, "dev/sr7 not found within 0 s: ");
    machine.device("sr0", b"no volume");
    let ended = machine.run(["--timeout", "1"]);
    assert_eq!(ended.code, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("a medium labelled TASK_* not found within 1 s"), "{ended:?}");
}

#[test]
fn the_medium_can_not_be_mounted() {
    let machine = Machine::new();
    machine.write("task.iso", "no volume");
    fails(&machine, "task.iso", 11, "not an ISO 9660 image");
}

#[test]
fn a_device_is_mounted_or_the_kernel_reports_why_not() {
    let machine = Machine::new();
    let image = machine.write("task.iso", iso("looped"));
    let Some(device) = LoopDevice::new(&image) else { return };
    let ended = machine.run([&device.0]);
    // Some kernels load the isofs module at the first mount.
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap();
    if filesystems.contains("iso9660") {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "LOOPED");
    } else {
        assert_eq!(ended.code, Some(11), "{ended:?}");
        assert!(ended.stderr.contains(&format!("cannot mount {} on ", device.0)), "{ended:?}");
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*machine.path("").to_string_lossy()), "it is still mounted");
}

#[test]
fn nothing_on_a_device_can_be_run_or_written() {
    let machine = Machine::new();
    let image = machine.write("task.iso", iso("looped"));
    let Some(device) = LoopDevice::new(&image) else { return };
    let Some(strace) = test_support::find("strace") else { return };
    let mut traced = Command::new(strace);
    traced.args(["-f", "-e", "trace=mount", "-o"]).arg(machine.path("trace"));
    let dispatcher = machine.command();
    traced.arg(dispatcher.get_program()).args(dispatcher.get_args()).arg(&device.0);
    traced.output().unwrap();
    let trace = fs::read_to_string(machine.path("trace")).unwrap();
    let flags = "\"iso9660\", MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL";
    assert!(trace.contains(flags), "{trace}");
}

/// A loop device with an image.
struct LoopDevice(String);

impl LoopDevice {
    /// The device; `None` if loop devices are not available.
    fn new(image: &Path) -> Option<Self> {
        let losetup = test_support::find("losetup")?;
        let made =
            Command::new(losetup).args(["--find", "--show", "--read-only"]).arg(image).output();
        let made = made.unwrap();
        test_support::machine_gives("loop devices", made.status.success())
            .then(|| Self(String::from_utf8(made.stdout).unwrap().trim().to_owned()))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        assert!(Command::new("losetup").args(["--detach", &self.0]).status().unwrap().success());
    }
}

#[test]
fn the_schema_can_not_be_used() {
    let machine = Machine::new();
    machine.task(RECIPE);
    let schema = "task/recipe.schema.json";
    for (contents, message) in [
        ("{", "recipe.schema.json: schema at its root: EOF"),
        ("{}", "has the $id none"),
        (r#"{"$id": "https://provisioner.example/schemas/recipe/9.0.json"}"#, "/1.1.json and "),
        (r#"{"patternProperties": {}}"#, "/patternProperties: this validator does not know"),
    ] {
        machine.write(schema, contents);
        fails(&machine, "task", 12, message);
    }
    machine.write(schema, " ".repeat(300 * 1024));
    fails(&machine, "task", 12, "more than 262144 bytes");
    fs::remove_file(machine.path(schema)).unwrap();
    fails(&machine, "task", 12, "the task has no recipe.schema.json");
}

#[test]
fn the_recipe_can_not_be_read() {
    let machine = Machine::new();
    machine.task("{\"user_data\": hunter2}");
    fails(&machine, "task", 13, "is not JSON: expected value at line 1 column 15");
    machine.task(&" ".repeat(recipe::MAX_RECIPE_BYTES + 1));
    fails(&machine, "task", 13, "more than 6291456 bytes");
    fs::remove_file(machine.path("task/recipe.json")).unwrap();
    fails(&machine, "task", 13, "the task has no recipe.json");
    // A link on a medium could point to any file of the maintenance OS.
    std::os::unix::fs::symlink("/etc/hostname", machine.path("task/recipe.json")).unwrap();
    fails(&machine, "task", 13, "recipe.json of the task: not a regular file");
}

#[test]
fn a_link_in_an_image_is_not_followed() {
    let machine = Machine::new();
    let folder = machine.task(RECIPE);
    std::os::unix::fs::symlink("recipe.json", folder.join("user-data")).unwrap();
    if xorriso(&folder, "TASK_JOB7", &machine.path("task.iso")).is_some() {
        fails(&machine, "task.iso", 13, "user-data of the task: ");
    }
}

#[test]
fn the_recipe_is_not_valid() {
    let machine = Machine::new();
    machine.task(r#"{"task_target": "install-linux.target", "target_disk": "/dev/../hunter2"}"#);
    let ended = machine.run([machine.path("task")]);
    assert_eq!(ended.code, Some(14), "{ended:?}");
    for place in ["/target_disk", "/oci_url is missing", "/partition_layout is missing"] {
        assert!(ended.stderr.contains(place), "{ended:?}");
    }
    assert!(machine.is_untouched());
}

#[test]
fn a_schema_can_ask_for_more_and_never_for_less() {
    let machine = Machine::new();
    machine.task(RECIPE);
    let stricter = CURRENT
        .text
        .replace("\"required\": [\n    \"task_target\"", "\"required\": [\n    \"metadata\"");
    assert_ne!(stricter, CURRENT.text);
    machine.write("task/recipe.schema.json", stricter);
    fails(&machine, "task", 14, "/metadata is missing");
    machine.task(r#"{"task_target": "install-linux.target"}"#);
    machine.write("task/recipe.schema.json", format!("{{\"$id\": \"{}\"}}", CURRENT.id));
    fails(&machine, "task", 14, "/oci_url is missing");
}

#[test]
fn a_copy_differs_from_the_recipe() {
    let machine = Machine::new();
    machine.task(RECIPE);
    machine.write("task/user-data", "#cloud-config\npassword: hunter3\n");
    fails(&machine, "task", 14, "user-data on the medium differs from the recipe");
    fs::remove_file(machine.path("task/user-data")).unwrap();
    machine.write("task/ks.cfg", "");
    fails(&machine, "task", 14, "ks.cfg on the medium differs from the recipe");
}

#[test]
fn the_task_cannot_be_written() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    machine.write("run", "a file where the folder should be");
    let ended = machine.run([task]);
    assert_eq!(ended.code, Some(15), "{ended:?}");
    assert!(ended.stderr.contains("cannot write the task files: "), "{ended:?}");
}

#[test]
fn a_full_disk_leaves_the_task_before() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    assert_eq!(machine.run([&task]).code, Some(0));
    let before = machine.provision();
    // No file may exceed 512 bytes, as on a full disk.
    machine.task(&RECIPE.replace("hunter2", &"hunter2".repeat(1000)));
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 1; trap '' XFSZ; exec \"$@\"", "sh"]);
    limited.arg(env!("CARGO_BIN_EXE_dispatcher"));
    limited.args(["--no-start", "--root"]).arg(machine.path("")).arg(&task);
    let ended = run(&mut limited);
    assert_eq!(ended.code, Some(15), "{ended:?}");
    assert_eq!(machine.provision(), before);
    assert_eq!(fs::read_dir(machine.path("run")).unwrap().count(), 1, "something was left");
}

#[test]
fn only_root_may_do_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Another user may not have access to the folder of the test binary.
    let binary = dir.path().join("dispatcher");
    fs::copy(env!("CARGO_BIN_EXE_dispatcher"), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.args(["--no-start", "--timeout", "0"]).arg(dir.path());
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(17), "{ended:?}");
}

#[test]
fn the_version_is_the_one_that_is_stamped_into_the_program() {
    test_support::identity::check_stamped_identity(env!("CARGO_BIN_EXE_dispatcher").as_ref());
}
