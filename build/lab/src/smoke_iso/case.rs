// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Test cases as data.

use super::media::{Change, Task};
use crate::qemu::Firmware;

/// A case: one VM and its expected end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Unique name; also the folder's name.
    pub(super) name: &'static str,
    pub(super) firmware: Firmware,
    /// Whether QEMU boots the ISO's kernel directly, without firmware and boot loader.
    pub(super) direct: bool,
    /// Modification of the released ISO.
    pub(super) change: Option<Change>,
    /// Task on the second CD; none: an empty drive.
    pub(super) task: Option<Task>,
    pub(super) tools: Tools,
    /// Memory in MiB.
    pub(super) memory: u32,
    /// Step that is made to fail.
    pub(super) failing: Option<&'static str>,
    /// Whether the decoy disks, which nothing may write to, are attached.
    pub(super) decoys: bool,
    /// Read limit of the live medium in bytes per second; 0: none.
    pub(super) bytes_per_second: u64,
    /// Whether the VM has one CD drive; the task is inserted when the ISO is no longer needed.
    pub(super) one_drive: bool,
    /// Expected end.
    pub(super) end: End,
}

/// How the steps of a task run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tools {
    /// Each step is replaced by a command; tool images are not used.
    Replaced,
    /// The images bound into the ISO run. The steps of an installation print their version.
    Bound,
}

/// Expected end of a case.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// One success report.
    Success,
    /// One failure report that names this unit.
    Failure(&'static str),
    /// The unit fails with console output only: no webhook is known.
    Silent(&'static str),
    /// Boot refused, with one of these texts on the console.
    Refused(&'static [&'static str]),
}

/// Defaults of the cases.
pub(super) const PLAIN: Case = Case {
    name: "uefi",
    firmware: Firmware::Uefi,
    direct: false,
    change: None,
    task: Some(Task::Good),
    tools: Tools::Replaced,
    memory: 2048,
    failing: None,
    decoys: false,
    bytes_per_second: 0,
    one_drive: false,
    end: End::Success,
};

/// The case of every CI run.
pub(super) const FIRST: &[Case] = &[PLAIN];

/// All cases, for the nightly run.
pub(super) const ALL: &[Case] = &[
    PLAIN,
    Case { name: DIRECT, direct: true, ..PLAIN },
    Case { name: "secure-boot", firmware: Firmware::SecureBoot, decoys: true, ..PLAIN },
    Case { name: "bios", firmware: Firmware::Bios, ..PLAIN },
    Case { name: "to-ram", change: Some(Change::ToRam), ..PLAIN },
    Case { name: "one-drive", change: Some(Change::ToRam), one_drive: true, ..PLAIN },
    Case { name: "arm64", firmware: Firmware::UefiArm64, ..PLAIN },
    Case { name: "arm64-secure-boot", firmware: Firmware::SecureBootArm64, ..PLAIN },
    // podman unpacks bound images to RAM.
    Case { name: "bound", tools: Tools::Bound, memory: 4096, ..PLAIN },
    Case {
        name: "erase",
        task: Some(Task::Erase),
        tools: Tools::Bound,
        memory: 4096,
        decoys: true,
        ..PLAIN
    },
    Case { name: "slow", bytes_per_second: 256_000, ..PLAIN },
    Case { name: "no-task", task: None, end: End::Silent(DISPATCHER), ..PLAIN },
    Case {
        name: "invalid-recipe",
        task: Some(Task::Invalid),
        end: End::Failure(DISPATCHER),
        ..PLAIN
    },
    Case {
        name: "unknown-target",
        task: Some(Task::UnknownTarget),
        end: End::Failure(DISPATCHER),
        ..PLAIN
    },
    Case {
        name: "failing-step",
        failing: Some("image-linux.service"),
        end: End::Failure("image-linux.service"),
        ..PLAIN
    },
    Case {
        name: "shim",
        end: End::Refused(&["Access Denied", "Security Violation"]),
        ..corrupt_iso(Change::Shim)
    },
    Case {
        name: "grub",
        end: End::Refused(&["Security Violation", "Verification failed"]),
        ..corrupt_iso(Change::Grub)
    },
    Case {
        name: "kernel",
        end: End::Refused(&["bad shim signature"]),
        ..corrupt_iso(Change::Kernel)
    },
    Case {
        name: "arm64-kernel",
        firmware: Firmware::SecureBootArm64,
        end: End::Refused(&["bad shim signature"]),
        ..corrupt_iso(Change::Kernel)
    },
    Case {
        name: "initramfs",
        firmware: Firmware::Uefi,
        end: End::Refused(&["initramfs.img is damaged", "Initramfs unpacking failed"]),
        ..corrupt_iso(Change::Initramfs)
    },
    Case {
        name: "root",
        firmware: Firmware::Uefi,
        end: End::Refused(&["is corrupted", "the root is damaged"]),
        ..corrupt_iso(Change::Root)
    },
    Case {
        name: "medium",
        firmware: Firmware::Uefi,
        end: End::Refused(&["is not the medium that this kernel came from"]),
        ..corrupt_iso(Change::Medium)
    },
];

/// The case whose boot time the first is compared with.
pub(super) const DIRECT: &str = "direct";

const DISPATCHER: &str = "dispatcher.service";

/// A case with one corrupted byte in the ISO. Secure Boot checks the first links of the chain.
const fn corrupt_iso(change: Change) -> Case {
    Case { firmware: Firmware::SecureBoot, change: Some(change), ..PLAIN }
}
