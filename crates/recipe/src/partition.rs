// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The partition table of a recipe.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    patterns,
    text::{FormError, Label, string_conversions},
};

/// The partitions in the order of the table: 1 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Partition>", into = "Vec<Partition>")]
pub struct PartitionLayout(Vec<Partition>);

impl PartitionLayout {
    /// Most partitions of a layout.
    pub const MAX: usize = 64;

    /// Accepts 1 to 64 partitions.
    pub fn new(partitions: Vec<Partition>) -> Result<Self, FormError> {
        if (1..=Self::MAX).contains(&partitions.len()) {
            Ok(Self(partitions))
        } else {
            Err(FormError("a list of 1 to 64 partitions"))
        }
    }

    /// The partitions in order.
    pub fn partitions(&self) -> &[Partition] {
        &self.0
    }
}

impl TryFrom<Vec<Partition>> for PartitionLayout {
    type Error = FormError;
    fn try_from(partitions: Vec<Partition>) -> Result<Self, FormError> {
        Self::new(partitions)
    }
}

impl From<PartitionLayout> for Vec<Partition> {
    fn from(layout: PartitionLayout) -> Self {
        layout.0
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its size.
    pub size: Size,
    /// Its type in the partition table.
    pub type_guid: TypeGuid,
    /// Its file system.
    pub format: Format,
    /// Its name in the table and the label of its file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// The size of a partition.
///
/// Fixed sizes are reserved first. A percentage is of the rest, and is limited to what is still
/// free: both `512M, 40%, 60%` and `512M, 40%, 100%` fill the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Size {
    /// A number of bytes.
    Bytes(ByteSize),
    /// A share of the space that is left by the fixed sizes.
    Percent(Percent),
}

/// A number of bytes that a recipe can express: 1 to 9999999 of K, M, G or T (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// The units, largest first, with their powers of two.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];
/// The largest number before a unit.
const MAX_COUNT: u64 = 9_999_999;

impl ByteSize {
    /// Accepts `bytes` if a recipe can express it.
    pub fn new(bytes: u64) -> Option<Self> {
        Self::split(bytes).map(|_| Self(bytes))
    }

    /// The number of bytes.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Count and largest unit that express `bytes` without a remainder.
    fn split(bytes: u64) -> Option<(u64, char)> {
        UNITS.into_iter().find_map(|(unit, power)| {
            let count = bytes >> power;
            (count << power == bytes && (1..=MAX_COUNT).contains(&count)).then_some((count, unit))
        })
    }
}

/// A percentage from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// Accepts 1 to 100.
    pub fn new(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// The percentage.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// The expected form of a size.
const SIZE_FORM: FormError = FormError("a size such as 512M, 1G or 40%");

impl FromStr for Size {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        if !patterns::matches(patterns::SIZE, text) {
            return Err(SIZE_FORM);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().and_then(Percent::new).ok_or(SIZE_FORM)?;
            return Ok(Self::Percent(percent));
        }
        UNITS
            .into_iter()
            .find_map(|(unit, power)| {
                let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
                count.checked_mul(1 << power).map(|bytes| Self::Bytes(ByteSize(bytes)))
            })
            .ok_or(SIZE_FORM)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{}%", percent.0),
            Self::Bytes(bytes) => {
                // A `ByteSize` can only be made from what `split` accepts.
                let (count, unit) = ByteSize::split(bytes.0).unwrap_or((bytes.0 >> 10, 'K'));
                write!(f, "{count}{unit}")
            }
        }
    }
}

/// Type of a partition: a type code of `sgdisk` or a GUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TypeGuid {
    /// A type code of `sgdisk --list-types`, such as `0xef00`.
    Code(u16),
    /// A partition type GUID (UEFI 2.10, 5.3.3) as a number with the same digits.
    Guid(u128),
}

impl TypeGuid {
    /// EFI system partition (UEFI 2.10, table 5.7).
    pub const EFI_SYSTEM: Self = Self::Guid(0xC12A_7328_F81F_11D2_BA4B_00A0_C93E_C93B);
    /// Microsoft reserved partition.
    pub const MICROSOFT_RESERVED: Self = Self::Guid(0xE3C9_E316_0B5C_4DB8_817D_F92D_F002_15AE);
    /// Microsoft basic data.
    pub const MICROSOFT_BASIC_DATA: Self = Self::Guid(0xEBD0_A0A2_B9E5_4433_87C0_68B6_B726_99C7);
    /// BIOS boot partition, for GRUB.
    pub const BIOS_BOOT: Self = Self::Guid(0x2168_6148_6449_6E6F_744E_6565_6445_4649);
    /// Linux file system data.
    pub const LINUX_FILESYSTEM: Self = Self::Guid(0x0FC6_3DAF_8483_4772_8E79_3D69_D847_7DE4);
    /// Linux swap.
    pub const LINUX_SWAP: Self = Self::Guid(0x0657_FD6D_A4AB_43C4_84E5_0933_C84B_4F4F);
    /// Linux root for x86-64 (Discoverable Partitions Specification).
    pub const LINUX_ROOT_X86_64: Self = Self::Guid(0x4F68_BCE3_E8CD_4DB1_96E7_FBCA_F984_B709);
    /// Linux root for 64-bit ARM (Discoverable Partitions Specification).
    pub const LINUX_ROOT_ARM64: Self = Self::Guid(0xB921_B045_1DF0_41C3_AF44_4C6F_280D_3FAE);

    /// The GUID, if the type is one or is a code with a known GUID.
    #[must_use]
    pub fn to_guid(self) -> Self {
        match self {
            Self::Code(0xef00) => Self::EFI_SYSTEM,
            Self::Code(0xef02) => Self::BIOS_BOOT,
            Self::Code(0x0c01) => Self::MICROSOFT_RESERVED,
            Self::Code(0x0700) => Self::MICROSOFT_BASIC_DATA,
            Self::Code(0x8200) => Self::LINUX_SWAP,
            Self::Code(0x8300) => Self::LINUX_FILESYSTEM,
            Self::Code(0x8304) => Self::LINUX_ROOT_X86_64,
            Self::Code(0x8305) => Self::LINUX_ROOT_ARM64,
            Self::Code(_) | Self::Guid(_) => self,
        }
    }

    /// Whether it is the EFI system partition.
    pub fn is_efi_system(self) -> bool {
        self.to_guid() == Self::EFI_SYSTEM
    }

    /// Whether it is the Microsoft reserved partition.
    pub fn is_microsoft_reserved(self) -> bool {
        self.to_guid() == Self::MICROSOFT_RESERVED
    }
}

impl FromStr for TypeGuid {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        const FORM: FormError = FormError("an sgdisk code such as ef00, or a GUID");
        if !patterns::matches(patterns::TYPE_GUID, text) {
            return Err(FORM);
        }
        let digits = text.replace('-', "");
        if text.len() == 4 {
            u16::from_str_radix(&digits, 16).map(Self::Code).map_err(|_| FORM)
        } else {
            u128::from_str_radix(&digits, 16).map(Self::Guid).map_err(|_| FORM)
        }
    }
}

impl fmt::Display for TypeGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code:04x}"),
            Self::Guid(guid) => write!(
                f,
                "{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
                guid >> 96,
                (guid >> 80) & 0xffff,
                (guid >> 64) & 0xffff,
                (guid >> 48) & 0xffff,
                guid & 0xffff_ffff_ffff,
            ),
        }
    }
}

impl fmt::Debug for TypeGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeGuid({self})")
    }
}

string_conversions!(Size, TypeGuid);

/// File system of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// FAT32, for the EFI system partition.
    Vfat,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// NTFS.
    Ntfs,
    /// Swap space.
    Swap,
    /// No file system: the partition is left unformatted.
    Raw,
}

impl Format {
    /// All of them, in schema order.
    pub const ALL: [Self; 7] =
        [Self::Vfat, Self::Ext4, Self::Xfs, Self::Btrfs, Self::Ntfs, Self::Swap, Self::Raw];

    /// The name in the recipe.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vfat => "vfat",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "ntfs",
            Self::Swap => "swap",
            Self::Raw => "raw",
        }
    }

    /// Longest label of this file system in bytes; `None` if it has no label.
    pub fn max_label(self) -> Option<usize> {
        match self {
            Self::Vfat => Some(11),
            Self::Ext4 => Some(16),
            Self::Xfs => Some(12),
            Self::Btrfs => Some(255),
            Self::Ntfs => Some(128),
            Self::Swap => Some(15),
            Self::Raw => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_and_are_written_with_the_largest_unit() {
        for (text, bytes, written) in [
            ("512M", 512 << 20, "512M"),
            ("1024K", 1 << 20, "1M"),
            ("2048G", 2 << 40, "2T"),
            ("1500M", 1500 << 20, "1500M"),
            ("9999999T", 9_999_999 << 40, "9999999T"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size, Size::Bytes(ByteSize::new(bytes).unwrap()), "{text}");
            assert_eq!(size.to_string(), written);
        }
        for bytes in [0, 1, 1023, 1025, 10_000_001 << 10, 10_000_000 << 40] {
            assert_eq!(ByteSize::new(bytes), None, "{bytes}");
        }
    }

    #[test]
    fn codes_stand_for_guids() {
        let guid = |text: &str| text.parse::<TypeGuid>().unwrap().to_guid().to_string();
        assert_eq!(guid("EF00"), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
        assert_eq!(guid("8300"), guid("0fc63daf-8483-4772-8e79-3d69d8477de4"));
        assert_eq!(guid("fd00"), "fd00");
    }
}
