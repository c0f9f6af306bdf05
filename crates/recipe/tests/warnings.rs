// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Warnings about valid recipes that look like mistakes.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use recipe::validate;
use serde_json::{Value, json};

/// The warnings about a recipe, each as `path code`.
fn warnings(recipe: &Value) -> Vec<String> {
    let validated = validate(&serde_json::to_vec(recipe).unwrap()).unwrap();
    let list = validated.warnings.iter();
    list.map(|warning| format!("{} {}", warning.path, warning.code)).collect()
}

/// The warnings about the layout of a Linux or Windows recipe; a partition is size, type and format.
fn layout(system: &str, partitions: &[(&str, &str, &str)]) -> Vec<String> {
    let partitions: Vec<Value> = partitions
        .iter()
        .map(|(size, type_guid, format)| json!({"size": size, "type_guid": type_guid, "format": format}))
        .collect();
    warnings(&json!({
        "task_target": format!("install-{system}.target"), "target_disk": "/dev/sda",
        "oci_url": "registry.example/os/image:1", "unattend_xml": "", "partition_layout": partitions,
    }))
}

const ESP: (&str, &str, &str) = ("512M", "ef00", "vfat");

#[test]
fn partitions_that_are_missing() {
    assert_eq!(
        layout("linux", &[("1G", "8200", "swap")]),
        ["/partition_layout no-efi-partition", "/partition_layout no-root-partition"]
    );
    assert_eq!(
        layout("windows", &[ESP]),
        ["/partition_layout no-msr-partition", "/partition_layout no-windows-partition"]
    );
    // By GUID as well as by code, in any case.
    let efi = ("512M", "c12a7328-F81F-11d2-BA4B-00a0c93ec93b", "vfat");
    let reserved = ("16M", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "raw");
    assert_eq!(layout("linux", &[efi, ("100%", "8300", "xfs")]), [""; 0]);
    assert_eq!(layout("windows", &[efi, reserved, ("100%", "0700", "ntfs")]), [""; 0]);
}

#[test]
fn percentages_over_a_hundred() {
    let sizes = |sizes: &[&str]| {
        let roots = sizes.iter().map(|size| (*size, "8300", "ext4"));
        layout("linux", &[ESP].into_iter().chain(roots).collect::<Vec<_>>())
    };
    for fits in [&["100%"][..], &["40%", "60%"], &["40%", "100%"], &["50%", "1G", "50%"]] {
        assert_eq!(sizes(fits), [""; 0], "{fits:?}");
    }
    assert_eq!(sizes(&["60%", "60%"]), ["/partition_layout/2/size over-100-percent"]);
    assert_eq!(sizes(&["100%", "100%"]), ["/partition_layout/2/size over-100-percent"]);
    assert_eq!(sizes(&["40%", "100%", "1%"]), ["/partition_layout/3/size over-100-percent"]);
}

#[test]
fn file_systems_and_labels_that_do_not_fit() {
    assert_eq!(
        layout("linux", &[("512M", "ef00", "ext4"), ("100%", "8300", "ext4")]),
        ["/partition_layout/0/format efi-not-vfat"]
    );
    let labelled = |format: &str, label: &str| json!({"size": "1G", "type_guid": "ef00", "format": format, "label": label});
    let recipe = json!({
        "task_target": "firmware-update.target", "firmware_url": "https://files.example/f",
        "firmware_sha256": "0".repeat(64), "partition_layout": [
            labelled("vfat", "twelve bytes"), labelled("vfat", "TWICE"), labelled("vfat", "TWICE"),
        ],
    });
    assert_eq!(
        warnings(&recipe),
        ["/partition_layout/0/label label-cut", "/partition_layout/2/label label-twice"]
    );
}

#[test]
fn sources_that_will_not_be_reached_or_trusted() {
    let firmware =
        |url: &str| json!({"task_target": "firmware-update.target", "firmware_url": url});
    assert_eq!(warnings(&firmware("HTTPS://files.example/f")), ["/firmware_sha256 no-checksum"]);
    assert_eq!(
        warnings(&firmware("https://me@files.example/f")),
        ["/firmware_url credentials", "/firmware_sha256 no-checksum"]
    );
    let windows = json!({
        "task_target": "install-windows.target", "target_disk": "/dev/sda", "oci_url": "os/windows:1",
    });
    assert_eq!(warnings(&windows), ["/oci_url no-registry", "/unattend_xml no-answer-file"]);
}
