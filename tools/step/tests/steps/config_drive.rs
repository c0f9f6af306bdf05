// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `step config-drive` with the real mkfs.vfat, mtools and cloud-init.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use test_support::{assert_contains, need};

use crate::common::{Fixture, LoopDisk, Mounted, sh};
use recipe::{TaskTarget, network::Network};

const USER_DATA: &str = "#cloud-config\nusers:\n  - name: operator\n    lock_passwd: true\n\
                         ssh_pwauth: false\nhostname: node-1\n";

fn task() -> Fixture {
    Fixture::new(TaskTarget::InstallLinux).user_data(USER_DATA)
}

#[test]
fn the_drive_holds_what_cloud_init_wants() {
    need!(&["mkfs.vfat", "mcopy", "mdir", "blkid", "cloud-init"]);
    let task = task();
    let image = task.path("seed.img");
    let image = image.to_str().unwrap();
    let log = task.step_ok(&["config-drive", "--output", image]);
    assert!(!log.contains("operator"), "contents were logged:\n{log}");

    assert_eq!(sh("blkid", &["-o", "value", "-s", "LABEL", "-s", "TYPE", image]), "CIDATA\nvfat\n");
    assert_eq!(sh("mcopy", &["-n", "-i", image, "::/user-data", "-"]), USER_DATA);
    let meta = sh("mcopy", &["-n", "-i", image, "::/meta-data", "-"]);
    assert!(meta.starts_with("instance-id: iid-"), "{meta}");
    let names = sh("mdir", &["-b", "-i", image]);
    assert!(!names.contains("network-config"), "{names}");

    let copy = task.path("user-data");
    fs::write(&copy, sh("mcopy", &["-n", "-i", image, "::/user-data", "-"])).unwrap();
    let printed = sh("cloud-init", &["schema", "--config-file", copy.to_str().unwrap()]);
    assert!(printed.contains("Valid"), "{printed}");
    assert_eq!(task.count_left_in_work(), 0);
}

#[test]
fn the_same_task_gives_the_same_bytes_and_a_second_run_does_nothing() {
    need!(&["mkfs.vfat", "mcopy"]);
    let task = task();
    let path = task.path("seed.img");
    let image = path.to_str().unwrap();
    task.step_ok(&["config-drive", "--output", image]);
    let first = fs::read(&path).unwrap();

    fs::write(&path, "touched").unwrap();
    assert_contains(task.step_ok(&["config-drive", "--output", image]), "nothing to do");
    assert_eq!(fs::read(&path).unwrap(), b"touched");

    fs::remove_file(task.path("state/config-drive.json")).unwrap();
    task.step_ok(&["config-drive", "--output", image]);
    assert!(fs::read(&path).unwrap() == first, "two runs differ");

    let changed = Fixture { ..task }.user_data("#cloud-config\n{}\n");
    let log = changed.step_ok(&["config-drive", "--output", image]);
    assert!(!log.contains("nothing to do"), "{log}");
    assert!(fs::read(&path).unwrap() != first, "a new recipe wrote the old drive");
}

#[test]
fn network_config_is_on_the_drive_where_it_is_given() {
    need!(&["mkfs.vfat", "mcopy"]);
    let task = task();
    let (image, config) = (task.path("seed.img"), task.path("net.yaml"));
    fs::write(&config, "version: 2\n").unwrap();
    let (image, config) = (image.to_str().unwrap(), config.to_str().unwrap());
    task.step_ok(&["config-drive", "--output", image, "--network-config", config]);
    assert_eq!(sh("mcopy", &["-n", "-i", image, "::/network-config", "-"]), "version: 2\n");
}

#[test]
fn the_network_of_the_task_is_on_the_drive_even_without_user_data() {
    need!(&["mkfs.vfat", "mcopy", "cloud-init"]);
    let mut task = Fixture::new(TaskTarget::InstallLinux);
    let network = br#"{"ports":[{"mac":"00:53:00:12:34:56"}],"vlan":42,"mtu":1500,
        "addresses":["192.0.2.10/24","2001:db8::10/64"],"gateways":["192.0.2.1","fe80::1"],
        "dns":["192.0.2.53"],"search":["lab.example"],"ntp":["192.0.2.123"]}"#;
    task.provision.network = Some(Network::from_slice(network).unwrap());
    let image = task.path("seed.img");
    let image = image.to_str().unwrap();
    task.step_ok(&["config-drive", "--output", image]);
    let file = |name: &str| sh("mcopy", &["-n", "-i", image, &format!("::/{name}"), "-"]);
    assert_eq!(file("user-data"), "#cloud-config\n{}\n");
    let vendor_data = "#cloud-config\n{\"ntp\":{\"enabled\":true,\"servers\":[\"192.0.2.123\"]}}\n";
    assert_eq!(file("vendor-data"), vendor_data);
    let copy = task.path("network-config");
    fs::write(&copy, file("network-config")).unwrap();
    // cloud-init itself reads it, and writes what it makes of it for networkd.
    let out = task.path("rendered");
    let args = ["devel", "net-convert", "-k", "yaml", "-O", "networkd", "-D", "debian"];
    let paths = ["-p", copy.to_str().unwrap(), "-d", out.to_str().unwrap()];
    sh("cloud-init", &[&args[..], &paths].concat());
    let units = fs::read_dir(out.join("etc/systemd/network")).unwrap();
    let texts = units.map(|unit| fs::read_to_string(unit.unwrap().path()).unwrap());
    let text = texts.collect::<Vec<_>>().join("\n");
    for line in [
        "Address=192.0.2.10/24",
        "Address=2001:db8::10/64",
        "Gateway=192.0.2.1",
        "Gateway=fe80::1",
        "DNS=192.0.2.53",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn without_user_data_there_is_nothing_to_do() {
    let task = Fixture::new(TaskTarget::InstallLinux);
    assert_contains(task.step_ok(&["config-drive"]), "does not use this step");
}

#[test]
fn a_layout_without_a_place_for_user_data_names_what_to_add() {
    let task = task().disk("/dev/vdz").layout(&["512M ef00 vfat esp", "100% 0700 ntfs Windows"]);
    assert_contains(task.step_fails(&["config-drive"]), "format vfat and label CIDATA");
}

#[test]
fn a_layout_without_a_drive_gets_the_seed_in_the_system_itself() {
    let tools = ["sgdisk", "partprobe", "mkfs.ext4"];
    let Some(disk) = LoopDisk::new(&tools, 64, 512) else { return };
    let task = task().disk(&disk.link).layout(&["20M 8300 ext4 var", "100% 8300 ext4 root"]);
    task.step_ok(&["partition"]);
    // An absolute link in the image must not resolve on the host.
    let root = Mounted::new(&disk.partition(2));
    fs::create_dir_all(root.path("var")).unwrap();
    drop(root);
    let var = Mounted::new(&disk.partition(1));
    fs::create_dir_all(var.path("state")).unwrap();
    symlink("/var/state", var.path("lib")).unwrap();
    drop(var);
    task.step_ok(&["config-drive"]);
    assert!(disk.mounts().is_empty(), "{:?}", disk.mounts());
    let var = Mounted::new(&disk.partition(1));
    let seed = var.path("state/cloud/seed/nocloud");
    assert_eq!(fs::read_to_string(seed.join("user-data")).unwrap(), USER_DATA);
    assert!(fs::read_to_string(seed.join("meta-data")).unwrap().starts_with("instance-id: iid-"));
    let mode = fs::metadata(seed.join("user-data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_failing_command_is_named_and_leaves_no_half_written_drive() {
    need!(&["mkfs.vfat", "mcopy"]);
    let task = task();
    // The device does not exist: mkfs.vfat fails.
    let log = task.disk("/dev/vdz").layout(&["8M 0700 vfat cidata"]);
    let error = log.step_fails(&["config-drive"]);
    assert!(error.contains("`mkfs.vfat --invariant"), "{error}");
    assert!(error.contains("/dev/vdz1"), "{error}");
    assert!(error.contains("action 1 of"), "{error}");
    assert_eq!(log.count_left_in_work(), 0);
    assert!(!log.path("state/config-drive.json").exists());
}

#[test]
fn a_missing_task_and_a_broken_one_are_distinguished() {
    let task = task();
    let missing = std::process::Command::new(env!("CARGO_BIN_EXE_step"))
        .args(["config-drive", "--provision", task.path("nowhere").to_str().unwrap()])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(error.contains("the dispatcher has not run"), "{error}");

    let broken = Fixture::new(TaskTarget::InstallLinux);
    broken.step_ok(&["config-drive"]);
    fs::write(broken.path("provision/layout.json"), "[{\"size\": \"12Q\"}]").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_step"))
        .args(["config-drive", "--provision", broken.path("provision").to_str().unwrap()])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("layout.json") && error.contains("512M"), "{error}");
}

#[test]
fn the_plan_hides_contents() {
    let task = task();
    let output = task.step(&["config-drive", "--output", "/seed.img", "--dry-run", "--json"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("operator"), "{text}");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let written: Vec<&serde_json::Value> = plan["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|action| action["action"] == "write-file")
        .collect();
    assert_eq!(written.len(), 2);
    assert_eq!(written[0]["contents"]["size"], USER_DATA.len());
    assert!(!task.path("state").exists(), "a dry run wrote something");
}

/// An image file instead of a partition on a disk named by a udev link.
#[test]
fn a_partition_is_written_through_its_disk() {
    need!(&["mkfs.vfat", "mcopy"]);
    let probe = tempfile::Builder::new().prefix("step-test-").tempdir_in("/dev");
    if !test_support::machine_gives("a writable /dev", probe.is_ok()) {
        return;
    }
    let dir = probe.unwrap();
    let name = format!("step-test-{}", std::process::id());
    let by_id = std::path::Path::new("/dev/disk/by-id");
    fs::create_dir_all(by_id).unwrap();
    fs::write(dir.path().join("disk"), "").unwrap();
    let partition = dir.path().join("disk1");
    fs::File::create(&partition).unwrap().set_len(8 << 20).unwrap();
    let link = by_id.join(&name);
    symlink(dir.path().join("disk"), &link).unwrap();
    let task = task().disk(link.to_str().unwrap()).layout(&["8M 0700 vfat cidata"]);
    let output = task.step(&["config-drive"]);
    fs::remove_file(&link).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image = partition.to_str().unwrap();
    assert_eq!(sh("mcopy", &["-n", "-i", image, "::/user-data", "-"]), USER_DATA);
}
