// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The recipe as types. The current schema accepts what these types serialise to, except for the
//! fields that a target requires, which validation checks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    contents::{KsCfg, Metadata, UnattendXml, UserData},
    erase::EraseDisks,
    network::Network,
    partition::PartitionLayout,
    text::{DiskPath, FirmwareUrl, FormError, OciReference, Sha256Hex, string_conversions},
};

/// The task of one host. `Debug` shows no contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The operator's own version of the recipe: recorded, never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_version: Option<String>,
    /// The target to start.
    pub task_target: TaskTarget,
    /// The disk to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_disk: Option<DiskPath>,
    /// The operating system's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci_url: Option<OciReference>,
    /// URL of the firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_url: Option<FirmwareUrl>,
    /// SHA-256 of the firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_sha256: Option<Sha256Hex>,
    /// The partition table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_layout: Option<PartitionLayout>,
    /// The disks to erase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase_disks: Option<EraseDisks>,
    /// The network of the host, in place of the controller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// cloud-init's user data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// The answer file of Windows Setup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattend_xml: Option<UnattendXml>,
    /// The kickstart file of `ESXi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks_cfg: Option<KsCfg>,
    /// Site data, never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl Recipe {
    /// A recipe with only `task_target`.
    pub fn new(task_target: TaskTarget) -> Self {
        Self {
            recipe_version: None,
            task_target,
            target_disk: None,
            oci_url: None,
            firmware_url: None,
            firmware_sha256: None,
            partition_layout: None,
            erase_disks: None,
            network: None,
            user_data: None,
            unattend_xml: None,
            ks_cfg: None,
            metadata: None,
        }
    }
}

/// The systemd target of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TaskTarget {
    /// `install-linux.target`
    InstallLinux,
    /// `install-windows.target`
    InstallWindows,
    /// `install-esxi.target`
    InstallEsxi,
    /// `firmware-update.target`
    FirmwareUpdate,
    /// `erase.target`
    Erase,
}

impl TaskTarget {
    /// Every target.
    pub const KNOWN: [Self; 5] = [
        Self::InstallLinux,
        Self::InstallWindows,
        Self::InstallEsxi,
        Self::FirmwareUpdate,
        Self::Erase,
    ];

    /// The unit's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::InstallLinux => "install-linux.target",
            Self::InstallWindows => "install-windows.target",
            Self::InstallEsxi => "install-esxi.target",
            Self::FirmwareUpdate => "firmware-update.target",
            Self::Erase => "erase.target",
        }
    }
}

impl FromStr for TaskTarget {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == text);
        known.ok_or(FormError("a known target such as install-linux.target"))
    }
}

string_conversions!(TaskTarget);

impl fmt::Display for TaskTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
