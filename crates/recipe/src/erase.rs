// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The disks of an erase task, each identified by link, serial number and size.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::text::{DiskId, FormError, ShortText};

/// Most disks of one task.
const MAX_DISKS: usize = 64;

/// A disk to erase. A disk whose serial number or size differs is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseDisk {
    /// Its link of udev.
    pub disk: DiskId,
    /// Its serial number.
    pub serial: ShortText,
    /// Its size in bytes.
    pub size: NonZeroU64,
}

/// 1 to 64 disks to erase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<EraseDisk>", into = "Vec<EraseDisk>")]
pub struct EraseDisks(Vec<EraseDisk>);

impl EraseDisks {
    /// Accepts 1 to 64 disks.
    pub fn new(disks: Vec<EraseDisk>) -> Result<Self, FormError> {
        let fits = (1..=MAX_DISKS).contains(&disks.len());
        if fits { Ok(Self(disks)) } else { Err(FormError("1 to 64 disks")) }
    }

    /// The disks, in the order of the recipe.
    pub fn disks(&self) -> &[EraseDisk] {
        &self.0
    }
}

impl TryFrom<Vec<EraseDisk>> for EraseDisks {
    type Error = FormError;

    fn try_from(disks: Vec<EraseDisk>) -> Result<Self, FormError> {
        Self::new(disks)
    }
}

impl From<EraseDisks> for Vec<EraseDisk> {
    fn from(disks: EraseDisks) -> Self {
        disks.0
    }
}
