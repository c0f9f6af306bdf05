// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Disk, partition and file system ids, derived from the task.
//!
//! The ids are hashes of serial number, recipe digest and partition number. Steps therefore agree
//! on ids without reading the disk, plans are reproducible, and no two hosts share an id.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Source of the ids of one task.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    serial: String,
    recipe_sha256: String,
}

impl Ids {
    /// Ids for the host `serial` and the recipe with this SHA-256.
    pub(crate) fn new(serial: &str, recipe_sha256: &str) -> Self {
        Self { serial: serial.to_owned(), recipe_sha256: recipe_sha256.to_owned() }
    }

    /// The first 16 bytes of the SHA-256 over purpose, task and number.
    fn derive(&self, purpose: &str, number: usize) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [purpose, &self.serial, &self.recipe_sha256, &number.to_string()] {
            // The length prefix makes the concatenation unambiguous.
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

    /// Volume id of a FAT file system in partition `number`, 32 bits.
    pub(crate) fn fat_volume(&self, number: usize) -> u32 {
        let [a, b, c, d, ..] = self.derive("fat", number);
        u32::from_be_bytes([a, b, c, d])
    }

    /// GUID of the Windows loader object in the BCD.
    pub(crate) fn windows_loader(&self) -> Uuid {
        self.uuid("windows-loader", 0)
    }

    /// cloud-init's instance id, which changes with the recipe.
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
