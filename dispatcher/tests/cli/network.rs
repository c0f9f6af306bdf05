// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Network configuration of a task, as files of systemd-networkd.

use std::{fs, os::unix::fs::PermissionsExt as _};

use recipe::network::Network;
use test_support::folder::names;

use crate::machine::{Machine, RECIPE};

const NETWORK: &str = r#"{
    "ports": [{ "mac": "00:53:00:12:34:56" }], "vlan": 42,
    "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.1"], "dns": ["192.0.2.53"]
}"#;
const FILES: [&str; 4] = [
    "10-provisioner-port0.network",
    "10-provisioner-vlan0.netdev",
    "10-provisioner-vlan0.network",
    "80-provisioner.network",
];

fn units(machine: &Machine) -> Vec<String> {
    let folder = machine.path("run/systemd/network");
    if folder.is_dir() { names(&folder) } else { Vec::new() }
}

#[test]
fn units_are_written_for_networkd_and_the_network_for_the_steps() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    machine.write("task/network.json", NETWORK);
    let ended = machine.run([&task]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("192.0.2.10/24 on VLAN 42"), "{ended:?}");
    assert_eq!(units(&machine), FILES);
    let path = machine.path("run/systemd/network/10-provisioner-vlan0.network");
    assert!(fs::read_to_string(&path).unwrap().contains("\nAddress=192.0.2.10/24\n"));
    // systemd-networkd runs as its own user.
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let expected = Network::from_slice(NETWORK.as_bytes()).unwrap();
    assert_eq!(machine.provision().network, Some(expected));
}

#[test]
fn a_second_task_leaves_no_unit_of_the_first() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    machine.write("task/network.json", NETWORK);
    assert_eq!(machine.run([&task]).code, Some(0));
    machine.write("run/systemd/network/50-other.network", "[Match]\n");
    machine.write("task/network.json", NETWORK.replace("\"vlan\": 42,", ""));
    assert_eq!(machine.run([&task]).code, Some(0));
    assert_eq!(units(&machine), [FILES[0], "50-other.network", FILES[3]]);
}

#[test]
fn a_recipe_may_have_its_own() {
    let machine = Machine::new();
    let mut recipe: serde_json::Value = serde_json::from_str(RECIPE).unwrap();
    recipe["network"] = serde_json::json!({ "ports": [{ "mac": "00:53:00:00:00:01" }] });
    let task = machine.task(&recipe.to_string());
    machine.write("task/network.json", NETWORK);
    assert_eq!(machine.run([&task]).code, Some(0));
    assert_eq!(units(&machine), [FILES[0], FILES[3]]);
    assert_eq!(machine.provision().network.unwrap().summary(), "DHCP");
}

#[test]
fn an_invalid_recipe_is_reported_over_the_network_of_the_task() {
    let machine = Machine::new();
    let task = machine.task("{}");
    machine.write("task/network.json", NETWORK);
    assert_eq!(machine.run([&task]).code, Some(14));
    assert_eq!(units(&machine), FILES);
}

#[test]
fn an_invalid_network_is_refused_with_its_place() {
    let machine = Machine::new();
    let task = machine.task(RECIPE);
    machine.write("task/network.json", NETWORK.replace("42", "4095"));
    let ended = machine.run([&task]);
    assert_eq!(ended.code, Some(13), "{ended:?}");
    assert!(ended.stderr.contains("/vlan must be from 1 to 4094"), "{ended:?}");
    assert!(machine.is_untouched());
}
