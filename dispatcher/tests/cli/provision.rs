// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Search for media, and the written files.

use std::{fs, time::Duration};

use iso9660::task::TaskIso;
use recipe::{CURRENT, PREVIOUS, sha256_hex};
use serde_json::{Value, json};

use crate::machine::{Machine, RECIPE, iso, run, xorriso};

#[test]
fn the_task_in_a_folder_is_written() {
    let machine = Machine::new();
    let ended = machine.run([machine.task(RECIPE)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let provision = machine.provision();
    let recipe: Value = serde_json::from_str(RECIPE).unwrap();

    let env = &provision.env;
    assert_eq!(env.task_target.as_str(), "install-linux.target");
    assert_eq!(json!(env.target_disk), recipe["target_disk"]);
    assert_eq!(json!(env.oci_url), recipe["oci_url"]);
    assert_eq!(env.serial.as_ref().unwrap().as_str(), "CZ0815");
    assert_eq!(env.schema_id.as_str(), CURRENT.id);
    assert_eq!(env.recipe_sha256.as_str(), sha256_hex(RECIPE.as_bytes()));
    assert_eq!((&env.firmware_url, &env.job_id), (&None, &None));
    assert_eq!(json!(provision.layout), recipe["partition_layout"]);
    assert_eq!(json!(provision.user_data), recipe["user_data"]);
    assert_eq!((provision.unattend_xml, provision.ks_cfg), (None, None));
    assert_eq!(provision.build_info.recipe_sha256, env.recipe_sha256);
    assert!(ended.stderr.contains(&sha256_hex(b"#cloud-config\npassword: hunter2\n")));
}

#[test]
fn recipe_env_has_these_lines() {
    let machine = Machine::new();
    machine.run([machine.task(RECIPE)]);
    let expected = format!(
        "TASK_TARGET=\"install-linux.target\"\n\
         TARGET_DISK=\"/dev/disk/by-id/nvme-eui.0025385b11b2c3d4\"\n\
         OCI_URL=\"registry.example/os/debian:13\"\n\
         SERIAL=\"CZ0815\"\n\
         SCHEMA_ID=\"{}\"\n\
         RECIPE_SHA256=\"{}\"\n",
        CURRENT.id,
        sha256_hex(RECIPE.as_bytes())
    );
    assert_eq!(fs::read_to_string(machine.path("run/provision/recipe.env")).unwrap(), expected);
}

/// On a BMC with one slot, the task follows the maintenance image.
#[test]
fn a_task_behind_another_image_is_written() {
    let machine = Machine::new();
    let task = iso("job-7");
    // Not a whole number of blocks, and padded by the BMC.
    let boot = vec![1; 5000];
    let padding = iso9660::combined::CombinedPadding::new(boot.len() as u64, task.len() as u64);
    let medium = [boot, vec![0; padding.padding], task, padding.end, vec![0; 60 * 1024]].concat();
    let ended = machine.run([machine.write("combined.iso", medium)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let provision = machine.provision();
    assert_eq!(provision.env.recipe_sha256.as_str(), sha256_hex(RECIPE.as_bytes()));
    assert_eq!(provision.env.job_id.unwrap().as_str(), "JOB7");
}

#[test]
fn a_second_task_leaves_nothing_of_the_first() {
    let machine = Machine::new();
    assert_eq!(machine.run([machine.task(RECIPE)]).code, Some(0));
    let task = machine.task(r#"{"task_target":"install-esxi.target","ks_cfg":"reboot\n"}"#);
    assert_eq!(machine.run([task]).code, Some(0));
    let provision = machine.provision();
    assert_eq!((provision.layout, provision.user_data), (None, None));
    assert_eq!(fs::read_to_string(machine.path("run/provision/ks.cfg")).unwrap(), "reboot\n");
}

#[test]
fn the_access_to_the_controller_is_written_even_for_an_invalid_recipe() {
    const CONTROLLER: &str = r#"{
        "webhook_url": "https://c.example/api/v1/status-webhook/CZ0815",
        "webhook_secret": "hunter2", "job_id": "job-7", "tool_registry": "c.example"
    }"#;
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    machine.write("task/controller.json", CONTROLLER);
    assert_eq!(machine.run([&task]).code, Some(0));
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "job-7");
    let tools = fs::read_to_string(machine.path("run/controller/tools.env")).unwrap();
    assert_eq!(tools, "TOOLS=\"c.example/tools\"\n");
    fs::remove_dir_all(machine.path("run")).unwrap();

    machine.write("task/recipe.json", "{}");
    assert_eq!(machine.run([&task]).code, Some(14));
    let webhook = fs::read_to_string(machine.path("run/controller/webhook.env")).unwrap();
    assert!(webhook.starts_with("WEBHOOK_URL=\"https://c.example/api"), "{webhook}");
    fs::remove_dir_all(machine.path("run")).unwrap();

    machine.write("task/controller.json", CONTROLLER.replace("https", "file"));
    assert_eq!(machine.run([&task]).code, Some(13));
    assert!(machine.is_untouched());
}

#[test]
fn an_image_by_xorriso_gives_what_the_folder_gives() {
    let machine = Machine::new();
    let folder = machine.task(RECIPE);
    let image = machine.path("task.iso");
    if xorriso(&folder, "TASK_JOB7", &image).is_none() {
        return;
    }
    assert_eq!(machine.run([&folder]).code, Some(0));
    let mut expected = machine.provision();
    expected.env.job_id = Some("JOB7".parse().unwrap());
    assert_eq!(machine.run([&image]).code, Some(0));
    assert_eq!(machine.provision(), expected);
}

#[test]
fn the_task_is_found_by_its_label_on_whatever_drive() {
    let machine = Machine::new();
    // A truncated label has no job.
    machine.device("vda", &iso("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    machine.device("sr0", b"no volume");
    assert_eq!(machine.run([""; 0]).code, Some(0));
    assert_eq!(machine.provision().env.job_id, None);

    machine.device("sr1", &iso("disc-1"));
    let ended = machine.run([""; 0]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("warning: "), "two media went by in silence: {ended:?}");
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "DISC1");
}

/// A previous user of the host may have left anything on its disks, including a trailer in the last
/// blocks.
#[test]
fn a_fixed_disk_is_never_searched() {
    let machine = Machine::new();
    machine.fixed_disk("sda", &iso("evil"));
    machine.fixed_disk("vda", &iso("evil"));
    let task = iso("evil");
    let padding = iso9660::combined::CombinedPadding::new(4096, task.len() as u64);
    machine.fixed_disk("sdc", &[vec![1; 4096], task, padding.end].concat());
    let search = ["--signature", "off"];
    let ended = machine.run(search);
    assert_eq!(ended.code, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("not looking at fixed disks: sda, sdc, vda"), "{ended:?}");
    machine.device("sdb", &iso("good"));
    assert_eq!(machine.run(search).code, Some(0));
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "GOOD");
    // A disk named explicitly is used.
    let ended = machine.run([machine.path("dev/sda")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "EVIL");
}

#[test]
fn a_medium_that_can_not_be_used_does_not_end_the_search() {
    let machine = Machine::new();
    let mut damaged = iso("damaged");
    // The root folder of the primary volume points nowhere.
    damaged[16 * 2048 + 158..16 * 2048 + 162].copy_from_slice(&[0xff; 4]);
    machine.device("sr0", &damaged);
    let bad = TaskIso {
        job_id: "bad".to_owned(),
        recipe: br#"{"task_target":"install-linux.target"}"#.into(),
        schema: CURRENT.text.into(),
        ..TaskIso::default()
    };
    machine.device("sr1", &bad.to_bytes().unwrap());
    let ended = machine.run([""; 0]);
    assert_eq!(ended.code, Some(14), "{ended:?}");
    machine.device("sda", &iso("good"));
    let ended = machine.run([""; 0]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "GOOD");
    let is_skipped = |line: &str| line.contains("skipping ") && line.contains("sr1: ");
    assert!(ended.stderr.lines().any(is_skipped), "{ended:?}");
}

/// An old USB stick may be in the host, and a BMC may take a while to present a CD.
#[test]
fn an_optical_drive_that_is_not_ready_is_waited_for() {
    let machine = Machine::new();
    machine.device("sda", &iso("stick"));
    fs::create_dir_all(machine.path("sys/block/sr0")).unwrap();
    let mut command = machine.command();
    let waiting = std::thread::spawn(move || run(command.args(["--timeout", "60"])));
    std::thread::sleep(Duration::from_millis(700));
    machine.write("new", iso("disc"));
    fs::rename(machine.path("new"), machine.path("dev/sr0")).unwrap();
    let ended = waiting.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(machine.provision().env.job_id.unwrap().as_str(), "DISC");
}

#[test]
fn a_disc_that_comes_late_is_waited_for() {
    let machine = Machine::new();
    let mut command = machine.command();
    let waiting = std::thread::spawn(move || run(command.args(["--timeout", "60"])));
    std::thread::sleep(Duration::from_millis(700));
    machine.write("new", iso("late"));
    fs::create_dir_all(machine.path("dev")).unwrap();
    fs::rename(machine.path("new"), machine.path("dev/sr0")).unwrap();
    fs::create_dir_all(machine.path("sys/block/sr0")).unwrap();
    let ended = waiting.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_task_of_the_schema_before_is_taken_over() {
    let machine = Machine::new();
    let task = machine.task(&RECIPE.replace("registry.example", "oci://registry.example"));
    machine.write("task/recipe.schema.json", PREVIOUS.text);
    let ended = machine.run([task]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let env = machine.provision().env;
    assert_eq!(env.schema_id.as_str(), PREVIOUS.id);
    assert_eq!(env.oci_url.unwrap().as_str(), "registry.example/os/debian:13");
}

#[test]
fn the_environment_overrides_the_serial_number() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    run(machine.command().arg(&task).env("PROVISIONER_SERIAL", "OTHER \"1\""));
    assert_eq!(machine.provision().env.serial.unwrap().as_str(), "OTHER \"1\"");
    fs::remove_file(machine.path("sys/class/dmi/id/product_serial")).unwrap();
    assert_eq!(machine.run([&task]).code, Some(0));
    assert_eq!(machine.provision().env.serial, None);
}
