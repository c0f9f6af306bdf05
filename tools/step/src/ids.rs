// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Identifiers that follow from the task alone.
//!
//! Disk, partition and file system ids are derived from serial number, recipe digest and partition
//! number. So each step knows the ids that another step has set without looking at the disk, a plan
//! is the same each time it is made, and no two machines share an id.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Where the ids of one task come from.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    serial: String,
    recipe_sha256: String,
}

impl Ids {
    /// The ids of the task with this recipe on the machine with this serial number.
    pub(crate) fn new(serial: &str, recipe_sha256: &str) -> Self {
        Self { serial: serial.to_owned(), recipe_sha256: recipe_sha256.to_owned() }
    }

    /// The first 16 bytes of the digest over purpose, task and number.
    fn derive(&self, purpose: &str, number: usize) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [purpose, &self.serial, &self.recipe_sha256, &number.to_string()] {
            // The length in front keeps two different lists of parts from joining to one string.
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut out = [0; 16];
        for (to, from) in out.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        out
    }

    /// A UUID of version 8, "custom" (RFC 9562, 5.8), for `purpose` and partition `number`.
    fn uuid(&self, purpose: &str, number: usize) -> Uuid {
        uuid::Builder::from_custom_bytes(self.derive(purpose, number)).into_uuid()
    }

    /// GUID of the disk in its GPT header.
    pub(crate) fn disk(&self) -> Uuid {
        self.uuid("disk", 0)
    }

    /// GUID of partition `number` (from 1) in its GPT entry.
    pub(crate) fn partition(&self, number: usize) -> Uuid {
        self.uuid("partition", number)
    }

    /// UUID of the file system in partition `number`.
    pub(crate) fn file_system(&self, number: usize) -> Uuid {
        self.uuid("file-system", number)
    }

    /// Volume id of a FAT file system in partition `number`, which has room for 32 bits.
    pub(crate) fn fat_volume(&self, number: usize) -> u32 {
        let [a, b, c, d, ..] = self.derive("fat", number);
        u32::from_be_bytes([a, b, c, d])
    }

    /// GUID of the Windows loader's object in the boot configuration.
    pub(crate) fn windows_loader(&self) -> Uuid {
        self.uuid("windows-loader", 0)
    }

    /// cloud-init's instance id: a new recipe is a new instance, the same recipe is not.
    pub(crate) fn instance(&self) -> String {
        format!("iid-{:032x}", u128::from_be_bytes(self.derive("instance", 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_every_part_of_the_task() {
        let ids = Ids::new("SN1", "aa");
        assert_eq!(ids.disk(), Ids::new("SN1", "aa").disk());
        for other in [Ids::new("SN2", "aa"), Ids::new("SN1", "ab"), Ids::new("SN1a", "a")] {
            assert_ne!(ids.disk(), other.disk());
            assert_ne!(ids.instance(), other.instance());
        }
        assert_ne!(ids.partition(1), ids.partition(2));
        assert_ne!(ids.partition(1), ids.file_system(1));
    }

    #[test]
    fn a_uuid_has_its_form_and_its_version() {
        let text = Ids::new("SN1", "aa").disk().to_string();
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(text.as_bytes()[14], b'8', "{text}");
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
    }
}
