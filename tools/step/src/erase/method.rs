// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The methods of erasing a disk.

use std::fmt::{self, Display};

use clap::ValueEnum;
use serde::Serialize;

/// How a disk is erased, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    /// NVM Express sanitize, block erase.
    NvmeSanitizeBlock,
    /// NVM Express sanitize, crypto erase.
    NvmeSanitizeCrypto,
    /// NVM Express format with user data erase.
    NvmeFormat,
    /// ATA SECURITY ERASE UNIT, enhanced mode.
    AtaEnhancedErase,
    /// ATA SECURITY ERASE UNIT.
    AtaSecureErase,
    /// Discard of all blocks, then overwriting if they do not read as zeros.
    Discard,
    /// Overwriting with zeros.
    Overwrite,
}

impl Method {
    /// Whether the disk reads as zeros afterwards.
    pub(crate) fn leaves_zeros(self) -> bool {
        match self {
            Self::Discard | Self::Overwrite => true,
            Self::NvmeSanitizeBlock
            | Self::NvmeSanitizeCrypto
            | Self::NvmeFormat
            | Self::AtaEnhancedErase
            | Self::AtaSecureErase => false,
        }
    }
}

impl Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every method has a name.
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}
