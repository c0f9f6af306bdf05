// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Networks: accepted values, files for networkd and cloud-init, and positions of faults.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::{collection, option, prelude::*, sample};
use recipe::network::{Mac, Network, PciPath};
use serde_json::{Value, json};

fn read(value: &Value) -> Network {
    Network::from_slice(value.to_string().as_bytes()).unwrap()
}

/// `/place code` of each fault.
fn faults(value: &Value) -> Vec<String> {
    let error = Network::from_slice(value.to_string().as_bytes()).unwrap_err();
    let faults = error.into_faults("/network").into_iter();
    faults.map(|fault| format!("{} {}", fault.path, fault.code)).collect()
}

fn resolve(path: &PciPath) -> Option<Mac> {
    (path.address() == "0000:03:00.0").then(|| "00:53:00:00:00:03".parse().unwrap())
}

fn port() -> Value {
    json!([{ "mac": "00:53:00:12:34:5A" }])
}

fn examples() -> [(&'static str, Value); 5] {
    let all = json!({
        "ports": [{ "mac": "00:53:00:12:34:5a" }, { "path": "pci-0000:03:00.0" }],
        "bond": "802.3ad", "vlan": 42, "mtu": 9000,
        "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
        "gateways": ["192.0.2.1", "fe80::1"],
        "dns": ["192.0.2.53", "2001:db8::53"], "search": ["Lab.Example"],
        "ntp": ["192.0.2.123", "ntp.example"],
    });
    [
        (
            "ipv4",
            json!({ "ports": port(), "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.1"] }),
        ),
        (
            "ipv6",
            json!({ "ports": port(), "addresses": ["2001:db8::10/64"], "gateways": ["2001:db8::1"] }),
        ),
        (
            "vlan",
            json!({ "ports": [{ "path": "pci-0000:03:00.0" }], "vlan": 7, "addresses": ["192.0.2.10/31"], "gateways": ["192.0.2.11"] }),
        ),
        (
            "dhcp-on-a-bond",
            json!({ "ports": [{ "mac": "00:53:00:00:00:01" }, { "mac": "00:53:00:00:00:02" }], "bond": "active-backup" }),
        ),
        ("all", all),
    ]
}

#[test]
fn networkd_and_cloud_init_get_the_same_network() {
    for (name, value) in examples() {
        let network = read(&value);
        let units = network.units().into_iter().map(|(file, text)| format!("# {file}\n{text}"));
        insta::assert_snapshot!(format!("{name}.networkd"), units.collect::<Vec<_>>().join("\n"));
        insta::assert_snapshot!(format!("{name}.cloud-init"), network.cloud_init(resolve).unwrap());
        let vendor_data = network.vendor_data().unwrap_or_default();
        insta::assert_snapshot!(format!("{name}.vendor-data"), vendor_data);
    }
}

#[test]
fn a_summary_is_one_line() {
    let summaries = examples().map(|(_, value)| read(&value).summary());
    insta::assert_debug_snapshot!(summaries);
}

#[test]
fn cloud_init_needs_a_port_that_is_there() {
    let network = read(&json!({ "ports": [{ "path": "pci-0000:09:00.0" }] }));
    let error = network.cloud_init(resolve).unwrap_err().to_string();
    assert_eq!(error, "no network port at pci-0000:09:00.0");
}

#[test]
fn every_fault_has_its_place() {
    let with = |more: Value| {
        let mut value = json!({ "ports": port() });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    for (value, expected) in [
        (json!({ "ports": [] }), "/network/ports minItems"),
        (json!({ "ports": [{}] }), "/network/ports/0 oneOf"),
        (
            json!({ "ports": [{ "mac": "00:53:00:12:34:56", "path": "pci-0000:03:00.0" }] }),
            "/network/ports/0 oneOf",
        ),
        (
            json!({ "ports": [{ "mac": "00:53:00:00:00:01" }, { "mac": "00:53:00:00:00:02" }] }),
            "/network/ports maxItems",
        ),
        (
            json!({ "ports": [{ "mac": "00:53:00:00:00:0a" }, { "mac": "00:53:00:00:00:0A" }], "bond": "802.3ad" }),
            "/network/ports/1 duplicate",
        ),
        (with(json!({ "bond": "round-robin" })), "/network/bond enum"),
        (with(json!({ "vlan": 0 })), "/network/vlan range"),
        (with(json!({ "vlan": 4095 })), "/network/vlan range"),
        (with(json!({ "vlan": 65_537 })), "/network/vlan range"),
        (with(json!({ "mtu": 575 })), "/network/mtu range"),
        (with(json!({ "mtu": 9217 })), "/network/mtu range"),
        (with(json!({ "mtu": 1279, "addresses": ["2001:db8::2/64"] })), "/network/mtu minimum"),
        (with(json!({ "addresses": ["192.0.2.10"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["192.0.2.10/33"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["192.0.2.10/+8"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["192.0.2.0/24"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["192.0.2.255/24"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["127.0.0.1/8"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["224.0.0.1/24"] })), "/network/addresses/0 format"),
        (with(json!({ "addresses": ["2001:db8::/64"] })), "/network/addresses/0 format"),
        (
            with(json!({ "addresses": ["192.0.2.10/24", "192.0.2.10/25"] })),
            "/network/addresses/1 duplicate",
        ),
        (with(json!({ "gateways": ["192.0.2.1"] })), "/network/gateways/0 prefix"),
        (
            with(json!({ "addresses": ["192.0.2.10/24"], "gateways": ["198.51.100.1"] })),
            "/network/gateways/0 prefix",
        ),
        (
            with(json!({ "addresses": ["192.0.2.10/24"], "gateways": ["fe80::1"] })),
            "/network/gateways/0 prefix",
        ),
        (
            with(json!({ "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.10"] })),
            "/network/gateways/0 duplicate",
        ),
        (
            with(json!({ "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.1", "192.0.2.2"] })),
            "/network/gateways/1 duplicate",
        ),
        (with(json!({ "dns": ["dns.example"] })), "/network/dns/0 format"),
        (with(json!({ "search": ["a b"] })), "/network/search/0 format"),
        (with(json!({ "ntp": ["192.0.2.300"] })), "/network/ntp/0 format"),
        (with(json!({ "ntp": vec!["ntp.example"; 9] })), "/network/ntp maxItems"),
        (with(json!({ "nameservers": [] })), "/network format"),
    ] {
        assert_eq!(faults(&value), [expected], "{value}");
    }
    for mac in [
        "",
        "005300123456",
        "00-53-00-12-34-56",
        "00:53:00:12:34",
        "00:53:00:12:34:5g",
        "01:53:00:12:34:56",
        "00:00:00:00:00:00",
        "00:53:00:12:34:56:78",
        "+0:53:00:12:34:56",
    ] {
        assert_eq!(
            faults(&json!({ "ports": [{ "mac": mac }] })),
            ["/network/ports/0/mac format"],
            "{mac}"
        );
    }
    for path in [
        "0000:03:00.0",
        "pci-03:00.0",
        "pci-0000:03:00.8",
        "pci-0000:03:00.0\nName=*",
        "pci-*",
        "pci-0000:03:00",
    ] {
        assert_eq!(
            faults(&json!({ "ports": [{ "path": path }] })),
            ["/network/ports/0/path format"],
            "{path}"
        );
    }
    // The message has the expected form, and never a second fault for the same value.
    let error = Network::from_slice(br#"{"ports":[{"mac":"x"}],"vlan":9999}"#).unwrap_err();
    let text = "/ports/0/mac must be a MAC address such as 00:53:00:12:34:56; /vlan must be from 1 to 4094";
    assert_eq!(error.to_string(), text);
    let large = vec![b' '; recipe::network::MAX_NETWORK_BYTES + 1];
    assert!(Network::from_slice(&large).unwrap_err().to_string().contains("16384 bytes"));
}

prop_compose! {
    fn any_text()(
        macs in collection::hash_set("0[02468ace](:[0-9a-f]{2}){4}:[0-9a-f][1-9a-f]", 1..4),
        bond in option::of(sample::select(vec!["active-backup", "802.3ad"])),
        vlan in option::of(1..=4094_u16),
        mtu in option::of(1280..=9216_u16),
        v4 in option::of((any::<[u8; 3]>(), 1..=126_u8)),
        v6 in option::of(any::<[u8; 6]>()),
        has_gateway in any::<bool>(),
        names in collection::vec("[a-z]{1,9}(-[a-z]{1,9})?(\\.[a-z]{2,9}){1,2}", 0..4),
    ) -> Value {
        let mut macs: Vec<_> = macs.into_iter().collect();
        if bond.is_none() { macs.truncate(1); }
        let (mut addresses, mut gateways) = (Vec::new(), Vec::new());
        if let Some(([a, b, c], host)) = v4 {
            let net = |last| Ipv4Addr::new(a % 100 + 10, b, c, last);
            addresses.push(format!("{}/25", net(host)));
            if has_gateway && host != 7 { gateways.push(net(7).to_string()); }
        }
        if let Some([a, b, c, d, e, f]) = v6 {
            let words = |last| Ipv6Addr::from([0x20, 1, a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, last]);
            addresses.push(format!("{}/64", words(9)));
            if has_gateway { gateways.push(words(1).to_string()); }
        }
        json!({
            "ports": macs.iter().map(|mac| json!({ "mac": mac })).collect::<Vec<_>>(),
            "bond": bond, "vlan": vlan, "mtu": mtu,
            "addresses": addresses, "gateways": gateways, "search": names, "ntp": names,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_network_survives_its_file(value in any_text()) {
        let network = read(&value);
        let again = Network::from_slice(&network.to_json().unwrap()).unwrap();
        prop_assert_eq!(&again, &network);
        // One section of addresses, in one file; no line that a value could have added.
        let units = network.units();
        let count = |key: &str| units.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.starts_with(key)).count();
        prop_assert_eq!(count("Address="), value["addresses"].as_array().unwrap().len());
        prop_assert_eq!(count("NTP="), value["ntp"].as_array().unwrap().len());
        prop_assert_eq!(count("DHCP="), 1);
        let config: Value = serde_json::from_str(&network.cloud_init(resolve).unwrap()).unwrap();
        prop_assert_eq!(&config["version"], 2);
    }

    #[test]
    fn no_text_adds_a_line_to_a_unit(
        field in sample::select(vec!["addresses", "gateways", "dns", "search", "ntp"]), text in "\\PC{0,12}|[0-9a-f:./\n=\\[]{0,20}",
    ) {
        let mut value = json!({ "ports": port(), "addresses": ["192.0.2.10/24"] });
        value[field] = json!([text]);
        if let Ok(network) = Network::from_slice(value.to_string().as_bytes()) {
            for (_, unit) in network.units() {
                for line in unit.lines().filter(|line| !line.is_empty()) {
                    prop_assert!(line.starts_with('[') || line.contains('='), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Network::from_slice(&bytes).is_err());
    }
}
