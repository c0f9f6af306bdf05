// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Computes start and length of each partition, with exact arithmetic and without I/O.
//!
//! The unit is MiB, which aligns every partition to all common sector sizes, RAID stripes and flash
//! pages. The first and the last MiB of the disk are reserved for the two copies of the GPT (34
//! sectors in front, 33 at the end; UEFI 2.10, 5.3.1).

use recipe::{Partition, Size};

/// Bytes in a MiB, the unit of starts and lengths.
pub(crate) const MIB: u64 = 1024 * 1024;

/// Position of a partition, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First MiB.
    pub(crate) start: u64,
    /// Number of MiB, at least 1.
    pub(crate) length: u64,
}

/// Reason why a layout does not fit a disk.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoesNotFit {
    /// The fixed sizes exceed the disk.
    #[error(
        "the disk is too small: it has room for {have} MiB of partitions, and the fixed sizes of \
         partition_layout ask for {need} MiB"
    )]
    FixedSizes {
        /// Sum of the fixed sizes, in MiB.
        need: u128,
        /// Space for partitions, in MiB.
        have: u64,
    },
    /// No space is left for a percentage.
    #[error(
        "the disk is too small: nothing is left for partition {number} ({percent}%) of \
         partition_layout"
    )]
    Percentage {
        /// Number of the partition, from 1.
        number: usize,
        /// Its percentage.
        percent: u8,
    },
}

/// Places `partitions` consecutively on a disk of `disk_size` bytes.
///
/// Fixed sizes are rounded up to a MiB and reserved first. A percentage is of the remaining space,
/// rounded down and limited to what is still free.
pub(crate) fn arrange(partitions: &[Partition], disk_size: u64) -> Result<Vec<Extent>, DoesNotFit> {
    let room = (disk_size / MIB).saturating_sub(2);
    let fixed: u128 = partitions
        .iter()
        .map(|partition| match partition.size {
            Size::Bytes(bytes) => u128::from(bytes.get().div_ceil(MIB)),
            Size::Percent(_) => 0,
        })
        .sum();
    // Fails if the fixed sizes overflow or exceed the disk.
    let Some(pool) = u64::try_from(fixed).ok().and_then(|fixed| room.checked_sub(fixed)) else {
        return Err(DoesNotFit::FixedSizes { need: fixed, have: room });
    };

    let mut free = pool;
    let mut start = 1;
    let mut extents = Vec::with_capacity(partitions.len());
    for (i, partition) in partitions.iter().enumerate() {
        let length = match partition.size {
            Size::Bytes(bytes) => bytes.get().div_ceil(MIB),
            Size::Percent(percent) => {
                // Exact, without overflow in the multiplication.
                let (hundredths, rest) = (pool / 100, pool % 100);
                let percent = u64::from(percent.get());
                let share = (hundredths * percent + rest * percent / 100).min(free);
                free -= share;
                share
            }
        };
        if let (0, Size::Percent(percent)) = (length, partition.size) {
            return Err(DoesNotFit::Percentage { number: i + 1, percent: percent.get() });
        }
        extents.push(Extent { start, length });
        start += length;
    }
    Ok(extents)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1024;

    fn partitions(sizes: &[&str]) -> Vec<Partition> {
        sizes
            .iter()
            .map(|size| Partition {
                size: size.parse().unwrap(),
                type_guid: "8300".parse().unwrap(),
                format: recipe::Format::Raw,
                label: None,
            })
            .collect()
    }

    fn lengths(sizes: &[&str], disk_mib: u64) -> Result<Vec<u64>, DoesNotFit> {
        arrange(&partitions(sizes), disk_mib * MIB)
            .map(|extents| extents.iter().map(|extent| extent.length).collect())
    }

    #[test]
    fn percentages_share_what_fixed_sizes_leave() {
        assert_eq!(
            lengths(&["512M", "1G", "100%"], 100 * GIB),
            Ok(vec![512, 1024, 102_400 - 1538])
        );
        assert_eq!(lengths(&["2M", "40%", "60%"], 1004), Ok(vec![2, 400, 600]));
        assert_eq!(lengths(&["2M", "40%", "100%"], 1004), Ok(vec![2, 400, 600]));
        assert_eq!(lengths(&["50%", "2M", "50%"], 1004), Ok(vec![500, 2, 500]));
    }

    #[test]
    fn fixed_sizes_are_rounded_up_to_a_mib() {
        assert_eq!(lengths(&["1K", "1025K"], 10), Ok(vec![1, 2]));
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused() {
        assert_eq!(
            lengths(&["512M", "100%"], 300),
            Err(DoesNotFit::FixedSizes { need: 512, have: 298 })
        );
        assert_eq!(lengths(&["8M"], 0), Err(DoesNotFit::FixedSizes { need: 8, have: 0 }));
        assert_eq!(lengths(&["8M"], 10), Ok(vec![8]));
        assert_eq!(
            lengths(&["8M", "100%"], 10),
            Err(DoesNotFit::Percentage { number: 2, percent: 100 })
        );
        assert_eq!(
            lengths(&["100%", "40%"], 1000),
            Err(DoesNotFit::Percentage { number: 2, percent: 40 })
        );
    }

    fn any_size() -> impl Strategy<Value = String> {
        prop_oneof![
            (1u32..=100).prop_map(|percent| format!("{percent}%")),
            (1u32..=9_999_999, "[KMGT]").prop_map(|(count, unit)| format!("{count}{unit}")),
            (1u32..=2_000, "[KMG]").prop_map(|(count, unit)| format!("{count}{unit}")),
        ]
    }

    proptest! {
        #[test]
        fn partitions_never_overlap_and_never_leave_the_disk(
            sizes in prop::collection::vec(any_size(), 1..=64),
            disk_size in prop_oneof![any::<u64>(), 0..=1u64 << 45, 0..=1u64 << 31],
        ) {
            let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
            let partitions = partitions(&sizes);
            let Ok(extents) = arrange(&partitions, disk_size) else { return Ok(()) };
            prop_assert_eq!(extents.len(), partitions.len());
            let mut free_from = 1;
            for (extent, partition) in extents.iter().zip(&partitions) {
                prop_assert!(extent.start >= free_from, "overlap");
                prop_assert!(extent.length >= 1);
                if let Size::Bytes(bytes) = partition.size {
                    prop_assert!(extent.length * MIB >= bytes.get());
                    prop_assert!(extent.length * MIB - bytes.get() < MIB);
                }
                free_from = extent.start + extent.length;
            }
            // The last MiB is reserved for the backup GPT.
            prop_assert!((free_from + 1) * MIB <= disk_size);
        }
    }
}
