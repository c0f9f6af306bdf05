// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! image-builder's requirements on an image for a live ISO (osbuild's documentation, "Image
//! Builder", "Bootc", "ISOs"). Checked in advance, because image-builder fails late and with little
//! detail.

use std::collections::BTreeSet;

use release::Architecture;

/// The image's ISO configuration (label, boot menu): current and previous path.
const DESCRIPTIONS: [&str; 2] =
    ["usr/lib/image-builder/bootc/iso.yaml", "usr/lib/bootc-image-builder/iso.yaml"];

/// Unmet requirements of an image with the regular files `files` (paths without leading slash), as
/// messages.
pub fn lacks(files: &BTreeSet<String>, architecture: Architecture) -> Vec<String> {
    let mut lacks = Vec::new();
    for name in ["vmlinuz", "initramfs.img"] {
        let is = |path: &&String| {
            let rest = path.strip_prefix("usr/lib/modules/").and_then(|rest| rest.split_once('/'));
            rest.is_some_and(|(_, rest)| rest == name)
        };
        if files.iter().filter(is).count() != 1 {
            lacks.push(format!("exactly one /usr/lib/modules/VERSION/{name}"));
        }
    }
    if !DESCRIPTIONS.iter().any(|path| files.contains(*path)) {
        let [path, _] = DESCRIPTIONS;
        lacks.push(format!("/{path} with the label and the boot menu"));
    }
    let vendors: BTreeSet<&str> = files.iter().filter_map(|path| vendor(path)).collect();
    let mut vendors = vendors.into_iter();
    let (Some(vendor), None) = (vendors.next(), vendors.next()) else {
        lacks.push("shim of one vendor in /usr/lib/efi/shim/VERSION/EFI/VENDOR".to_owned());
        return lacks;
    };
    let suffix = match architecture {
        Architecture::Amd64 => "x64",
        Architecture::Arm64 => "aa64",
    };
    for program in ["shim", "mm", "gcd"] {
        let path = format!("boot/efi/EFI/{vendor}/{program}{suffix}.efi");
        if !files.contains(&path) {
            lacks.push(format!("/{path}"));
        }
    }
    lacks
}

/// The vendor in the path of a shim; `None` for other files and for `BOOT`.
fn vendor(path: &str) -> Option<&str> {
    let (_version, rest) = path.strip_prefix("usr/lib/efi/shim/")?.split_once('/')?;
    let (vendor, _file) = rest.strip_prefix("EFI/")?.split_once('/')?;
    (vendor != "BOOT").then_some(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 9] = [
        "boot/efi/EFI/fedora/gcdx64.efi",
        "boot/efi/EFI/fedora/mmx64.efi",
        "boot/efi/EFI/fedora/shimx64.efi",
        "usr/bin/podman",
        "usr/lib/efi/shim/15.8/EFI/BOOT/BOOTX64.EFI",
        "usr/lib/efi/shim/15.8/EFI/fedora/shimx64.efi",
        "usr/lib/image-builder/bootc/iso.yaml",
        "usr/lib/modules/6.12/initramfs.img",
        "usr/lib/modules/6.12/vmlinuz",
    ];

    fn find_lacking(files: &[&str], architecture: Architecture) -> Vec<String> {
        lacks(&files.iter().map(|&path| path.to_owned()).collect(), architecture)
    }

    #[test]
    fn an_image_with_all_of_it_lacks_nothing() {
        assert_eq!(find_lacking(&GOOD, Architecture::Amd64), Vec::<String>::new());
    }

    #[test]
    fn each_part_is_missed() {
        for (missing, wanted) in [
            ("boot/efi/EFI/fedora/gcdx64.efi", "/boot/efi/EFI/fedora/gcdx64.efi"),
            ("boot/efi/EFI/fedora/mmx64.efi", "/boot/efi/EFI/fedora/mmx64.efi"),
            ("boot/efi/EFI/fedora/shimx64.efi", "/boot/efi/EFI/fedora/shimx64.efi"),
            (
                "usr/lib/efi/shim/15.8/EFI/fedora/shimx64.efi",
                "shim of one vendor in /usr/lib/efi/shim/VERSION/EFI/VENDOR",
            ),
            (
                "usr/lib/image-builder/bootc/iso.yaml",
                "/usr/lib/image-builder/bootc/iso.yaml with the label and the boot menu",
            ),
            (
                "usr/lib/modules/6.12/initramfs.img",
                "exactly one /usr/lib/modules/VERSION/initramfs.img",
            ),
            ("usr/lib/modules/6.12/vmlinuz", "exactly one /usr/lib/modules/VERSION/vmlinuz"),
        ] {
            let rest: Vec<_> = GOOD.into_iter().filter(|&path| path != missing).collect();
            assert_eq!(find_lacking(&rest, Architecture::Amd64), [wanted], "without {missing}");
        }
    }

    #[test]
    fn a_second_kernel_or_vendor_is_one_too_many() {
        for more in ["usr/lib/modules/6.13/vmlinuz", "usr/lib/efi/shim/16/EFI/centos/shimx64.efi"] {
            assert_eq!(
                find_lacking(&[&GOOD[..], &[more]].concat(), Architecture::Amd64).len(),
                1,
                "{more}"
            );
        }
    }

    #[test]
    fn the_programs_are_those_of_the_processor() {
        assert_eq!(
            find_lacking(&GOOD, Architecture::Arm64),
            ["shim", "mm", "gcd"].map(|name| format!("/boot/efi/EFI/fedora/{name}aa64.efi"))
        );
    }
}
