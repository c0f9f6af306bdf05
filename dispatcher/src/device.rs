// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Block devices that can have a task: optical, removable or read-only media.
//!
//! A fixed disk is never searched. An earlier tenant could have left anything on it, such as a
//! volume with the label of a task.

use std::{fs, io, path::Path};

/// Why a block device can have a task, in the order to try them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Drive {
    /// Driven by `sr_mod`, which drives CD and DVD drives only.
    Optical,
    /// The device reports a removable medium (RMB of its INQUIRY data), as USB sticks and those
    /// emulated by a BMC do. Fixed disks do not, and no command changes that.
    Removable,
    /// A virtual disk that the hypervisor attached read-only. On SCSI disks `ro` proves nothing:
    /// software can set it persistently (SWP of the control mode page, SBC-4).
    ReadOnlyVirtual,
}

/// A block device that can have a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its name below `/dev`.
    pub(crate) name: String,
    pub(crate) drive: Drive,
}

/// The devices below `root` that can have a task, in a stable order, and the names of disks that
/// cannot.
pub(crate) fn list(root: &Path) -> Result<(Vec<Device>, Vec<String>), io::Error> {
    let (mut devices, mut fixed) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(root.join("sys/block"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_set =
            |file: &str| fs::read_to_string(entry.path().join(file)).is_ok_and(|t| t.trim() == "1");
        let drive = if name.starts_with("sr") {
            Some(Drive::Optical)
        } else if name.starts_with("sd") && is_set("removable") {
            Some(Drive::Removable)
        } else if name.starts_with("vd") && is_set("ro") {
            Some(Drive::ReadOnlyVirtual)
        } else {
            None
        };
        match drive {
            Some(drive) => devices.push(Device { name, drive }),
            None if ["sd", "vd", "nvme", "mmcblk"].iter().any(|it| name.starts_with(it)) => {
                fixed.push(name);
            }
            None => {}
        }
    }
    // By length before name, so that sr10 follows sr9.
    devices.sort_by(|a, b| (a.drive, a.name.len(), &a.name).cmp(&(b.drive, b.name.len(), &b.name)));
    fixed.sort();
    Ok((devices, fixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_disks_are_left_out_and_discs_come_first() {
        let root = tempfile::tempdir().unwrap();
        for (name, removable, ro) in [
            ("vda", 0, 1),
            ("vdb", 0, 0),
            ("sr10", 1, 0),
            ("sr9", 1, 0),
            ("sr0", 1, 1),
            ("sda", 0, 0),
            // Write-protected by software, possibly by an earlier tenant.
            ("sdb", 0, 1),
            ("sdc", 1, 0),
            ("nvme0n1", 0, 1),
            ("loop0", 0, 1),
        ] {
            let folder = root.path().join("sys/block").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("removable"), format!("{removable}\n")).unwrap();
            fs::write(folder.join("ro"), format!("{ro}\n")).unwrap();
        }
        let (devices, fixed) = list(root.path()).unwrap();
        let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["sr0", "sr9", "sr10", "sdc", "vda"]);
        assert_eq!(fixed, ["nvme0n1", "sda", "sdb", "vdb"]);
    }
}
