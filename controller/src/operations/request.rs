// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Operations that users request of a BMC, and their results.

use redfish::Inventory;

use crate::words::words;

words! {
    /// Kind of an operation.
    #[derive(PartialOrd, Ord)]
    pub Kind, "an operation":
    /// Read the hardware from the BMC.
    Inspect = "inspect",
    /// Power the host on.
    PowerOn = "power.on",
    /// Power the host off: gracefully, by force if that is not available or does not end.
    PowerOff = "power.off",
    /// Power the host off in the same way, and on.
    PowerCycle = "power.cycle",
    /// Restart the host by force, or power it on.
    PowerReset = "power.reset",
    /// Have the BMC pull a firmware image and install it.
    FirmwareUpdate = "firmware.update",
}

words! {
    /// State of an operation.
    #[derive(PartialOrd, Ord)]
    pub State, "running, succeeded or failed":
    /// Not ended.
    Running = "running",
    /// Ended well.
    Succeeded = "succeeded",
    /// Failed, or interrupted by a restart of the controller.
    Failed = "failed",
}

/// Result of an operation.
#[derive(Debug, Clone, Default)]
pub struct OperationResult {
    /// What happened.
    pub message: String,
    /// Result of an inspection.
    pub inventory: Option<Inventory>,
}
