// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The `/etc/fstab` (fstab(5)) of the installed system, by UUID.

use recipe::Format;

use crate::ids::Ids;
use crate::volumes::{Role, Volume};

/// A line for each mount and swap volume, parents first.
pub(crate) fn fstab(volumes: &[Volume], ids: &Ids) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for volume in volumes {
        let Some(uuid) = volume.uuid(ids) else { continue };
        let format = volume.partition.format;
        let (place, kind, options, pass) = match volume.role {
            // fsck order: the root first, then the others; XFS and Btrfs have no fsck.
            Role::Mounted("/") => ("/", format.as_str(), "defaults", 1),
            Role::Mounted(place) => (place, format.as_str(), "defaults", 2),
            Role::EfiSystem => ("/boot/efi", "vfat", "umask=0077", 2),
            Role::Swap => ("none", "swap", "sw", 0),
            _ => continue,
        };
        let pass = if matches!(format, Format::Xfs | Format::Btrfs) { 0 } else { pass };
        // The first volume of a mount point is used; all swap volumes are.
        if place == "none" || !lines.iter().any(|(known, _)| *known == place) {
            lines.push((place, format!("UUID={uuid} {place} {kind} {options} 0 {pass}\n")));
        }
    }
    // Sorting by path puts parents before their children; swap comes last.
    lines.sort_by_key(|(place, _)| (*place == "none", *place));
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::volumes::volumes;

    #[test]
    fn parents_first_and_swap_last() {
        let layout = serde_json::from_str(
            r#"[
                {"size": "1G", "type_guid": "8200", "format": "swap"},
                {"size": "1G", "type_guid": "8302", "format": "xfs"},
                {"size": "1G", "type_guid": "ef00", "format": "vfat"},
                {"size": "8M", "type_guid": "0700", "format": "vfat", "label": "CIDATA"},
                {"size": "1G", "type_guid": "8300", "format": "ext4", "label": "boot"},
                {"size": "100%", "type_guid": "8300", "format": "ext4"}
            ]"#,
        )
        .unwrap();
        let ids = Ids::new("SN1", "aa");
        let text = fstab(&volumes(&layout, Path::new("/dev/sda")), &ids);
        let ext4 = |number| ids.file_system(number);
        let fat = ids.fat_volume(3);
        assert_eq!(
            text,
            format!(
                "UUID={} / ext4 defaults 0 1\n\
                 UUID={} /boot ext4 defaults 0 2\n\
                 UUID={:04X}-{:04X} /boot/efi vfat umask=0077 0 2\n\
                 UUID={} /home xfs defaults 0 0\n\
                 UUID={} none swap sw 0 0\n",
                ext4(6),
                ext4(5),
                fat >> 16,
                fat & 0xffff,
                ext4(2),
                ext4(1)
            )
        );
    }
}
