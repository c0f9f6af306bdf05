// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The typed model and the schema agree: serialised models validate, and a type accepts exactly the
//! texts that the schema accepts. No input panics.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::fmt::Display;

use proptest::{collection, option, prelude::*, sample};
use recipe::{
    ByteSize, CURRENT, DiskId, DiskPath, EraseDisk, EraseDisks, FirmwareUrl, Format, Label,
    Metadata, OciReference, PREVIOUS, Partition, PartitionLayout, Percent, Recipe, Sha256Hex,
    ShortText, Size, TaskTarget, TypeGuid, network::Network, validate, validate_against,
};
use serde_json::{Map, Value, json};

fn size() -> impl Strategy<Value = Size> {
    let bytes = (1..=9_999_999_u64, sample::select(vec![10, 20, 30, 40]))
        .prop_map(|(count, power)| Size::Bytes(ByteSize::new(count << power).unwrap()));
    prop_oneof![
        bytes,
        (1..=100_u8).prop_map(|percent| Size::Percent(Percent::new(percent).unwrap())),
    ]
}

fn type_guid() -> impl Strategy<Value = TypeGuid> {
    prop_oneof![any::<u16>().prop_map(TypeGuid::Code), any::<u128>().prop_map(TypeGuid::Guid)]
}

fn partition() -> impl Strategy<Value = Partition> {
    let label = "[^\\x00-\\x1f\\x7f]{0,32}".prop_map(|text| Label::new(text).unwrap());
    (size(), type_guid(), sample::select(&Format::ALL[..]), option::of(label))
        .prop_map(|(size, type_guid, format, label)| Partition { size, type_guid, format, label })
}

fn erase_disk() -> impl Strategy<Value = EraseDisk> {
    let disk = "/dev/disk/by-id/[A-Za-z0-9_:-]{1,20}";
    (disk, "[!-~]([ -~]{0,9}[!-~])?", 1..1_u64 << 53).prop_map(|(disk, serial, size)| EraseDisk {
        disk: disk.parse().unwrap(),
        serial: serial.parse().unwrap(),
        size: size.try_into().unwrap(),
    })
}

fn target() -> impl Strategy<Value = TaskTarget> {
    sample::select(&TaskTarget::KNOWN[..])
}

fn required_fields(target: &TaskTarget) -> &'static [&'static str] {
    match target {
        TaskTarget::InstallLinux => &["target_disk", "oci_url", "partition_layout"],
        TaskTarget::InstallWindows => &["target_disk", "oci_url"],
        TaskTarget::InstallEsxi => &["ks_cfg"],
        TaskTarget::FirmwareUpdate => &["firmware_url"],
        TaskTarget::Erase => &["erase_disks"],
    }
}

prop_compose! {
    /// A recipe with all fields that its target requires.
    fn any_recipe()(
        target in target(),
        version in option::of("\\PC{0,9}"),
        disk in "/dev/(sd[a-z]{1,3}|nvme[0-9]n[1-9]|md[0-9]{1,3}|mapper/[a-z]{1,9}(\\.[a-z]{1,9})?|disk/by-(id|path)/[A-Za-z0-9_:-]{1,20})",
        oci in "([a-z]{1,9}\\.example(:[1-9][0-9]{0,3})?/)?[a-z]{1,9}(/[a-z0-9]{1,9}){0,2}:[a-z0-9_][a-z0-9._-]{0,9}",
        url in "https?://[a-z]{1,9}\\.example/[a-z0-9./]{1,9}(\\?[a-z=&]{0,9})?",
        sha in "[0-9a-f]{64}",
        layout in collection::vec(partition(), 1..=64),
        files in (option::of("(?s).{0,200}"), option::of("(?s).{0,200}"), "(?s).{0,200}"),
        erase in collection::vec(erase_disk(), 1..=64),
        network in option::of((0..=255_u8, 1..=4094_u16)),
        metadata in option::of(collection::btree_map(".{0,9}", any::<i64>(), 0..5)),
        present in any::<[bool; 5]>(),
    ) -> Recipe {
        let has = |field: &str, wanted: bool| wanted || required_fields(&target).contains(&field);
        Recipe {
            recipe_version: version,
            target_disk: has("target_disk", present[0]).then(|| disk.parse().unwrap()),
            oci_url: has("oci_url", present[1]).then(|| oci.parse().unwrap()),
            firmware_url: has("firmware_url", present[2]).then(|| url.parse().unwrap()),
            firmware_sha256: present[2].then(|| sha.parse().unwrap()),
            partition_layout: has("partition_layout", present[3])
                .then(|| PartitionLayout::new(layout).unwrap()),
            erase_disks: (target == TaskTarget::Erase)
                .then(|| EraseDisks::new(erase).unwrap()),
            network: network.map(|(last, vlan)| {
                let network = json!({
                    "ports": [{ "mac": format!("00:53:00:00:00:{last:02x}") }], "vlan": vlan,
                    "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.1"], "search": ["a.example"],
                });
                Network::from_slice(network.to_string().as_bytes()).unwrap()
            }),
            user_data: files.0.map(|text| text.try_into().unwrap()),
            unattend_xml: files.1.map(|text| text.try_into().unwrap()),
            ks_cfg: has("ks_cfg", present[4]).then(|| files.2.try_into().unwrap()),
            metadata: metadata.map(|members| {
                Metadata(members.into_iter().map(|(key, value)| (key, json!(value))).collect())
            }),
            task_target: target,
        }
    }
}

/// Returns true if the current schema accepts `value` as `field` of an otherwise valid recipe.
fn schema_takes(field: &str, value: &Value) -> bool {
    let mut partition = Map::new();
    partition.insert("size".into(), json!("1G"));
    partition.insert("type_guid".into(), json!("8300"));
    partition.insert("format".into(), json!("ext4"));
    let mut recipe = Map::new();
    recipe.insert("task_target".into(), json!("install-esxi.target"));
    recipe.insert("ks_cfg".into(), json!("reboot\n"));
    let mut erase = Map::new();
    erase.insert("disk".into(), json!("/dev/disk/by-id/a"));
    erase.insert("serial".into(), json!("S1"));
    erase.insert("size".into(), json!(512));
    match field {
        "disk" | "serial" => erase.insert(field.into(), value.clone()),
        "size" | "type_guid" | "label" => partition.insert(field.into(), value.clone()),
        _ => recipe.insert(field.into(), value.clone()),
    };
    recipe.insert("partition_layout".into(), json!([partition]));
    recipe.insert("erase_disks".into(), json!([erase]));
    validate_against(CURRENT, &serde_json::to_vec(&recipe).unwrap()).is_ok()
}

/// The type `T` accepts a text for `field` exactly if the schema does, and the schema accepts its
/// serialised form too.
fn agrees<T: std::str::FromStr + Display>(field: &str, text: &str) -> Result<(), TestCaseError> {
    let typed: Option<T> = text.parse().ok();
    prop_assert_eq!(typed.is_some(), schema_takes(field, &json!(text)), "{}: {:?}", field, text);
    if let Some(typed) = typed {
        prop_assert!(schema_takes(field, &json!(typed.to_string())), "{}: {}", field, typed);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_model_serialises_validates(recipe in any_recipe()) {
        let written = serde_json::to_vec(&recipe).unwrap();
        let validated = validate(&written).unwrap();
        prop_assert_eq!(validated.schema, CURRENT);
        prop_assert_eq!(validated.recipe, recipe);
    }

    #[test]
    fn no_bytes_panic(bytes in collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(validate(&bytes).is_err());
    }

    #[test]
    fn a_broken_example_never_panics(
        cut in any::<sample::Index>(), byte in any::<u8>(), replace in any::<bool>(),
    ) {
        let mut bytes = include_bytes!("../examples/install-linux.json").to_vec();
        let at = cut.index(bytes.len());
        if replace { bytes[at] = byte } else { bytes.truncate(at) }
        if let Err(error) = validate(&bytes) {
            prop_assert!(!error.details.is_empty());
        }
    }

    #[test]
    fn sizes_agree(text in "[0-9]{0,8}[KMGT%B]?|\\PC{0,4}") {
        agrees::<Size>("size", &text)?;
    }

    #[test]
    fn types_agree(text in "[0-9a-fA-F]{3,5}|[0-9a-fA-F]{7,8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}") {
        agrees::<TypeGuid>("type_guid", &text)?;
    }

    #[test]
    fn labels_agree(text in "[\\x00-\\x7fä😀]{0,34}") {
        agrees::<Label>("label", &text)?;
    }

    #[test]
    fn disks_agree(text in "/dev/(sd[a-z0-9]{0,2}|vd[a-z]|nvme[0-9]n?[0-9]p?|md[0-9a]|mapper/[a-z./]{0,9}|disk/by-[a-z]{0,3}/[a-z:./-]{0,9})\n?") {
        agrees::<DiskPath>("target_disk", &text)?;
    }

    #[test]
    fn other_targets_are_refused(text in "[a-zA-Z0-9./-]{0,9}(\\.target)?") {
        prop_assert!(text.parse::<TaskTarget>().is_err());
        let error = validate(json!({ "task_target": text }).to_string().as_bytes()).unwrap_err();
        let codes: Vec<_> = error.details.iter().map(|fault| (&*fault.path, fault.code)).collect();
        prop_assert!(
            codes == [("/task_target", "enum")] || codes == [("/task_target", "pattern")],
            "{codes:?}"
        );
    }

    #[test]
    fn references_agree(text in "([a-zA-Z0-9.-]{1,5}(:[0-9]{0,6})?/|\\[[0-9a-f:]{1,4}\\]/)?[a-z0-9._-]{1,6}(/[a-zA._-]{1,3}){0,2}(:[A-Za-z0-9._-]{0,5})?(@sha256:[0-9a-f]{63,65})?") {
        agrees::<OciReference>("oci_url", &text)?;
    }

    #[test]
    fn urls_agree(text in "(https?|HTTP|[a-z1+]{0,4})://([a-z%0-9@:]{0,8})(\\[[0-9a-f:]{0,5}\\])?(:[0-9]{0,6})?[/a-z%41?# ]{0,8}") {
        agrees::<FirmwareUrl>("firmware_url", &text)?;
    }

    #[test]
    fn disks_to_erase_agree(
        disk in "/dev/disk/by-(id|path)/[a-zA-Z0-9_:.\n/-]{0,9}|/dev/sda",
        serial in "[ -~]{0,4}|\\PC{0,4}",
    ) {
        agrees::<DiskId>("disk", &disk)?;
        agrees::<ShortText>("serial", &serial)?;
    }

    #[test]
    fn digests_agree(text in "[0-9a-f]{63,65}|[0-9a-fA-F]{64}") {
        agrees::<Sha256Hex>("firmware_sha256", &text)?;
    }
}

#[test]
fn ports_and_schemes_that_nothing_can_be_fetched_from_are_refused() {
    for (field, good, bad) in [
        (
            "oci_url",
            &["registry.example:65535/os:1", "[::1]:5000/os:1", "[::1]/os:1", "os:99999"][..],
            &["registry.example:65536/os:1", "registry.example:0/os:1", "[::1]:99999/os:1"][..],
        ),
        (
            "firmware_url",
            &[
                "https://files.example/a",
                "HTTP://files.example:65535/a:99999",
                "http://[::1]:80/",
                "http://a:/",
            ],
            &[
                "ftp://files.example/a",
                "http://files.example:65536/a",
                "https:///a",
                "https:a",
                "http://[::1]:0/",
                "http://:80/",
            ],
        ),
    ] {
        let faults = |text: &str| {
            let mut recipe = json!({"task_target": "install-esxi.target", "ks_cfg": "reboot\n"});
            recipe[field] = json!(text);
            match validate(&serde_json::to_vec(&recipe).unwrap()) {
                Ok(_) => Vec::new(),
                Err(error) => {
                    error.details.iter().map(|it| format!("{} {}", it.path, it.code)).collect()
                }
            }
        };
        for text in good {
            assert_eq!(faults(text), [""; 0], "{text}");
        }
        for text in bad {
            assert_eq!(faults(text), [format!("/{field} format")], "{text}");
        }
    }
}

#[test]
fn the_longest_values_agree() {
    let is_disk: fn(&str) -> bool = |text| DiskPath::new(text).is_ok();
    let is_image: fn(&str) -> bool = |text| OciReference::new(text).is_ok();
    let is_url: fn(&str) -> bool = |text| FirmwareUrl::new(text).is_ok();
    for (field, [before, after], longest, accepts) in [
        ("target_disk", ["/dev/mapper/", ""], 255, is_disk),
        ("oci_url", ["", ":1"], 1024, is_image),
        ("firmware_url", ["https://a/", ""], 2048, is_url),
    ] {
        for (chars, ok) in [(longest, true), (longest + 1, false)] {
            let middle = "a".repeat(chars - before.len() - after.len());
            let text = format!("{before}{middle}{after}");
            assert_eq!((schema_takes(field, &json!(text)), accepts(&text)), (ok, ok), "{field}");
        }
    }
}

#[test]
fn files_are_limited_in_bytes_and_in_characters() {
    for (field, limit) in [("user_data", 1 << 20), ("unattend_xml", 1 << 20), ("ks_cfg", 1 << 18)] {
        let code = |text: String| {
            let mut recipe = json!({"task_target": "install-esxi.target", "ks_cfg": ""});
            recipe[field] = json!(text);
            match validate(&serde_json::to_vec(&recipe).unwrap()) {
                Ok(_) => Vec::new(),
                Err(error) => error.details.iter().map(|fault| fault.code).collect(),
            }
        };
        assert_eq!(code("a".repeat(limit)), [] as [&str; 0]);
        assert_eq!(code("ä".repeat(limit / 2)), [] as [&str; 0]);
        assert_eq!(code("ä".repeat(limit / 2 + 1)), ["maxBytes"]);
        assert_eq!(code("a".repeat(limit + 1)), ["maxBytes", "maxLength"]);
    }
}

#[test]
fn a_recipe_that_is_too_large_or_too_deep_is_unreadable() {
    let large = format!(r#"{{"metadata":"{}"}}"#, "a".repeat(recipe::MAX_RECIPE_BYTES));
    let deep = format!(r#"{{"metadata":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    for (recipe, code) in [(large, "maxBytes"), (deep, "json"), ("{".into(), "json")] {
        let error = validate(recipe.as_bytes()).unwrap_err();
        assert!(error.is_unreadable());
        assert_eq!(error.details[0].code, code);
    }
}

#[test]
fn a_recipe_made_of_faults_is_answered_briefly() {
    let names: Map<_, _> = (0..100_001).map(|n| (format!("f{n}"), json!(0))).collect();
    let error = validate(&serde_json::to_vec(&names).unwrap()).unwrap_err();
    assert_eq!(error.details.len(), 1000);
    assert!(error.message.contains("100002 faults"), "{}", error.message);

    // A name of a megabyte, and deep below it the same member many times.
    let twins = "\"a\":0,".repeat(100_000);
    let name = "n".repeat(1 << 20);
    let recipe = format!("{{\"metadata\":{{\"{name}\":{{{twins}\"a\":1}}}}}}");
    let error = validate(recipe.as_bytes()).unwrap_err();
    let longest = error.details.iter().map(|fault| fault.path.len()).max().unwrap();
    assert!(longest < 1024, "{longest}");
}

#[test]
fn the_schema_before_takes_the_scheme_that_it_had() {
    let recipe = |url: &str| {
        let recipe = json!({"task_target": "install-windows.target", "target_disk": "/dev/sda", "oci_url": url});
        validate(&serde_json::to_vec(&recipe).unwrap())
    };
    let old = recipe("oci://registry.example/os/windows:2025").unwrap();
    assert_eq!(old.schema, PREVIOUS);
    assert_eq!(old.recipe.oci_url.unwrap().as_str(), "registry.example/os/windows:2025");
    assert_eq!(recipe("registry.example/os/windows:2025").unwrap().schema, CURRENT);
    assert!(recipe("docker://registry.example/os/windows:2025").is_err());
}

#[test]
fn a_network_is_checked_as_a_whole() {
    let faults = |network: Value| {
        let recipe =
            json!({"task_target": "install-esxi.target", "ks_cfg": "", "network": network});
        let bytes = serde_json::to_vec(&recipe).unwrap();
        assert!(validate_against(PREVIOUS, &bytes).is_err());
        match validate(&bytes) {
            Ok(_) => Vec::new(),
            Err(error) => {
                error.details.iter().map(|it| format!("{} {}", it.path, it.code)).collect()
            }
        }
    };
    let port = json!([{ "mac": "00:53:00:12:34:56" }]);
    let addresses = json!(["192.0.2.10/24"]);
    let gateway =
        |gateway: &str| json!({ "ports": port, "addresses": addresses, "gateways": [gateway] });
    assert_eq!(faults(gateway("192.0.2.1")), [""; 0]);
    assert_eq!(faults(gateway("198.51.100.1")), ["/network/gateways/0 prefix"]);
    // What the schema refuses is reported once.
    assert_eq!(faults(json!({ "ports": port, "vlan": 4095 })), ["/network/vlan maximum"]);
    assert_eq!(
        faults(json!({ "ports": port, "dhcp": true })),
        ["/network/dhcp additionalProperties"]
    );
}

#[test]
fn contents_are_never_shown() {
    let secret = "correct horse battery staple";
    let recipe = json!({
        "task_target": "install-esxi.target", "ks_cfg": secret, "user_data": secret,
        "unattend_xml": secret, "metadata": {"password": secret},
        "firmware_url": "https://me:correct%20horse@files.example/bios.bin?token=horse",
    });
    let validated = validate(&serde_json::to_vec(&recipe).unwrap()).unwrap();
    let summary = validated.summary();
    let shown = format!("{validated:?} {summary} {}", serde_json::to_string(&summary).unwrap());
    assert!(!shown.contains("horse"), "{shown}");
    assert!(shown.contains("28 bytes, sha256 "), "{shown}");
    assert!(shown.contains("https://files.example/bios.bin"), "{shown}");
}
