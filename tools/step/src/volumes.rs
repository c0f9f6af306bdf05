// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Partitions of a layout as volumes: device, file system, id and role.

use std::path::{Path, PathBuf};

use recipe::{Format, Partition, PartitionLayout, TypeGuid};

use crate::ids::Ids;

/// Label of a cloud-init `NoCloud` drive.
pub(crate) const CIDATA: &str = "CIDATA";

/// Role of a volume in the installed system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// EFI system partition.
    EfiSystem,
    /// GRUB's core image, for BIOS.
    BiosBoot,
    /// Mounted at this path; `/` for the root.
    Mounted(&'static str),
    /// Swap space.
    Swap,
    /// cloud-init's config drive.
    ConfigDrive,
    /// Windows, on the volume that becomes `C:`.
    Windows,
    /// Any other: only created.
    Other,
}

/// One partition of the target disk.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    /// Number in the partition table, from 1.
    pub(crate) number: usize,
    /// Device path.
    pub(crate) device: PathBuf,
    /// The partition in the recipe.
    pub(crate) partition: Partition,
    /// Role in the installed system.
    pub(crate) role: Role,
}

/// Mount points by label, for layouts that don't use the discoverable partition types.
const LABELS: [(&str, &str); 9] = [
    ("root", "/"),
    ("rootfs", "/"),
    ("/", "/"),
    ("boot", "/boot"),
    ("home", "/home"),
    ("srv", "/srv"),
    ("var", "/var"),
    ("opt", "/opt"),
    ("data", "/data"),
];

/// Mount points by partition type, as sgdisk code and as GUID of the Discoverable Partitions
/// Specification: root (x86-64, ARM64), home, srv, var, extended boot loader.
const TYPES: [(u16, u128, &str); 6] = [
    (0x8304, 0x4F68_BCE3_E8CD_4DB1_96E7_FBCA_F984_B709, "/"),
    (0x8305, 0xB921_B045_1DF0_41C3_AF44_4C6F_280D_3FAE, "/"),
    (0x8302, 0x933A_C7E1_2EB4_4F13_B844_0E14_E2AE_F915, "/home"),
    (0x8306, 0x3B8F_8425_20E0_4F3B_907F_1A25_A76F_98E8, "/srv"),
    (0x8310, 0x4D21_B016_B534_45C2_A9FB_5C16_E091_FD2D, "/var"),
    (0xea00, 0xBC13_C2FF_59E6_4262_A352_B275_FD6F_7172, "/boot"),
];

/// Common labels of the Windows volume.
const WINDOWS: [&str; 3] = ["Windows", "OS", "C"];

/// Type of a Windows recovery partition, as sgdisk code and as GUID.
const RECOVERY: [TypeGuid; 2] =
    [TypeGuid::Code(0x2700), TypeGuid::Guid(0xDE94_BBA4_06D1_4D40_A16A_BFD5_0179_D6AC)];

/// The volumes of `layout` on `disk`, in table order.
pub(crate) fn volumes(layout: &PartitionLayout, disk: &Path) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = layout
        .partitions()
        .iter()
        .enumerate()
        .map(|(i, partition)| Volume {
            number: i + 1,
            device: partition_device(disk, i + 1),
            partition: partition.clone(),
            role: stated_role(partition),
        })
        .collect();
    // Without a named root, the first Linux file system without a role is the root.
    if !volumes.iter().any(|volume| volume.role == Role::Mounted("/"))
        && let Some(volume) =
            volumes.iter_mut().find(|volume| volume.role == Role::Other && volume.is_linux())
    {
        volume.role = Role::Mounted("/");
    }
    // Windows is on the labelled NTFS volume, or the first that is not for recovery.
    let named =
        |volume: &Volume| volume.is_ntfs() && WINDOWS.iter().any(|label| volume.is_labelled(label));
    let plain =
        |volume: &Volume| volume.is_ntfs() && !RECOVERY.contains(&volume.partition.type_guid);
    let windows = volumes.iter().position(named).or_else(|| volumes.iter().position(plain));
    if let Some(volume) = windows.and_then(|i| volumes.get_mut(i)) {
        volume.role = Role::Windows;
    }
    volumes
}

/// The role that follows from type, format and label.
fn stated_role(partition: &Partition) -> Role {
    let label = partition.label.as_ref().map_or("", |label| label.as_str());
    let labelled = |name: &str| label.eq_ignore_ascii_case(name);
    match partition.format {
        _ if partition.type_guid.is_efi_system() => Role::EfiSystem,
        _ if partition.type_guid.to_guid() == TypeGuid::BIOS_BOOT => Role::BiosBoot,
        Format::Swap => Role::Swap,
        Format::Vfat if labelled(CIDATA) => Role::ConfigDrive,
        Format::Ext4 | Format::Xfs | Format::Btrfs => by_type(partition.type_guid)
            .or_else(|| LABELS.iter().find(|(name, _)| labelled(name)).map(|(_, path)| *path))
            .map_or(Role::Other, Role::Mounted),
        _ => Role::Other,
    }
}

fn by_type(type_guid: TypeGuid) -> Option<&'static str> {
    TYPES
        .iter()
        .find(|(code, guid, _)| {
            type_guid == TypeGuid::Code(*code) || type_guid == TypeGuid::Guid(*guid)
        })
        .map(|(_, _, path)| *path)
}

/// Device path of partition `number`: the kernel inserts `p` after a name that ends in a digit,
/// udev links have `-part`.
pub(crate) fn partition_device(disk: &Path, number: usize) -> PathBuf {
    let name = disk.display().to_string();
    let between = if name.starts_with("/dev/disk/") {
        "-part"
    } else if name.ends_with(|c: char| c.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    PathBuf::from(format!("{name}{between}{number}"))
}

/// The first volume with `role`.
pub(crate) fn find(volumes: &[Volume], role: Role) -> Option<&Volume> {
    volumes.iter().find(|volume| volume.role == role)
}

impl Volume {
    /// Returns true for a Linux file system.
    pub(crate) fn is_linux(&self) -> bool {
        matches!(self.partition.format, Format::Ext4 | Format::Xfs | Format::Btrfs)
    }

    fn is_ntfs(&self) -> bool {
        self.partition.format == Format::Ntfs
    }

    fn is_labelled(&self, label: &str) -> bool {
        self.partition.label.as_ref().is_some_and(|own| own.as_str().eq_ignore_ascii_case(label))
    }

    /// The device path as an argument.
    pub(crate) fn device(&self) -> String {
        self.device.display().to_string()
    }

    /// UUID of the file system as `blkid` prints it, if the task sets one.
    pub(crate) fn uuid(&self, ids: &Ids) -> Option<String> {
        match self.partition.format {
            Format::Vfat => {
                let id = ids.fat_volume(self.number);
                Some(format!("{:04X}-{:04X}", id >> 16, id & 0xffff))
            }
            Format::Ext4 | Format::Xfs | Format::Btrfs | Format::Swap => {
                Some(ids.file_system(self.number).to_string())
            }
            Format::Ntfs | Format::Raw => None,
        }
    }
}
