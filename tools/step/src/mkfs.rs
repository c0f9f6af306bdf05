// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Commands that create file systems with the task's ids.

use recipe::Format;

use crate::ids::Ids;
use crate::program::Program;
use crate::volumes::Volume;

/// Time stamp for mtools and `mkfs.vfat`: 1980-01-01, the earliest in FAT.
const FAT_EPOCH: &str = "315532800";

/// The command that formats `volume`; `None` for `raw`.
pub(crate) fn mkfs(volume: &Volume, ids: &Ids) -> Option<Program> {
    let format = volume.partition.format;
    let device = volume.device();
    let label = volume.partition.label.as_ref().map(|label| fit_label(label.as_str(), format));
    let uuid = volume.uuid(ids).unwrap_or_default();
    let mut args: Vec<String> = Vec::new();
    let mut option = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
    let program = match format {
        Format::Raw => return None,
        Format::Vfat => {
            return Some(mkfs_vfat(&device, label.as_deref(), ids.fat_volume(volume.number)));
        }
        Format::Ext4 => {
            // GRUB before 2.12 and kernels before 5.15 do not support these defaults of newer
            // e2fsprogs.
            option(&["-q", "-F", "-O", "^metadata_csum_seed,^orphan_file", "-U", &uuid]);
            "mkfs.ext4"
        }
        Format::Xfs => {
            // Kernels before 5.19 do not support large extent counters.
            option(&["-q", "-f", "-i", "nrext64=0", "-m", &format!("uuid={uuid}")]);
            "mkfs.xfs"
        }
        Format::Btrfs => {
            option(&["-q", "-f", "-U", &uuid]);
            "mkfs.btrfs"
        }
        Format::Ntfs => {
            option(&["-Q", "-F"]);
            "mkfs.ntfs"
        }
        Format::Swap => {
            option(&["-f", "-U", &uuid]);
            "mkswap"
        }
    };
    if let Some(label) = label.filter(|label| !label.is_empty()) {
        option(&["-L", &label]);
    }
    option(&[&device]);
    Some(Program::new(program, args))
}

/// Formats a device or image file with FAT. mkfs.vfat selects the FAT type by size.
pub(crate) fn mkfs_vfat(device: &str, label: Option<&str>, volume_id: u32) -> Program {
    let id = format!("{volume_id:08x}");
    let mut args = vec!["--invariant", "-i", &id];
    if let Some(label) = label.filter(|label| !label.is_empty()) {
        args.extend(["-n", label]);
    }
    args.push(device);
    Program::new("mkfs.vfat", args)
}

/// An mtools command on the FAT file system in `device`, which needs no kernel driver and no mount.
pub(crate) fn mtools(command: &str, device: &str, args: &[&str]) -> Program {
    let mut all = vec!["-i", device];
    all.extend(args);
    // Ignore the configuration file, and do not ask about existing names.
    Program::new(command, all)
        .with_env("MTOOLSRC", "/dev/null")
        .with_env("SOURCE_DATE_EPOCH", FAT_EPOCH)
}

/// Shortens `label` to the limit of `format`, at character boundaries. FAT labels become upper
/// case, without the characters that FAT reserves.
pub(crate) fn fit_label(label: &str, format: Format) -> String {
    let label = if format == Format::Vfat {
        label
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_ ".contains(c) { c } else { '_' })
            .collect::<String>()
            .to_ascii_uppercase()
    } else {
        label.to_owned()
    };
    let room = format.max_label().unwrap_or(0);
    let end = (0..=room.min(label.len())).rev().find(|end| label.is_char_boundary(*end));
    label.get(..end.unwrap_or(0)).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_to_what_the_file_system_keeps() {
        assert_eq!(fit_label("cidata", Format::Vfat), "CIDATA");
        assert_eq!(fit_label("EFI system partition", Format::Vfat), "EFI SYSTEM");
        assert_eq!(fit_label("a/b*c", Format::Vfat), "A_B_C");
        assert_eq!(fit_label("twelve-chars-long", Format::Xfs), "twelve-chars");
        assert_eq!(fit_label("Größe-der-Wurzel", Format::Ext4), "Größe-der-Wurz");
        assert_eq!(fit_label("anything", Format::Raw), "");
    }
}
