// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What is tried, as data.

use super::media::{Change, Task};
use crate::qemu::Firmware;

/// One machine, from its start to what it ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Its name, part of the folder's.
    pub(super) name: &'static str,
    /// What it starts from.
    pub(super) firmware: Firmware,
    /// Whether QEMU loads the kernel of the ISO itself, without firmware's search and a boot loader.
    pub(super) direct: bool,
    /// How the ISO differs from the one that is delivered.
    pub(super) change: Option<Change>,
    /// What the second CD says; none for an empty drive.
    pub(super) task: Option<Task>,
    /// What carries out the steps.
    pub(super) tools: Tools,
    /// Its memory in MiB.
    pub(super) memory: u32,
    /// The step that fails.
    pub(super) failing: Option<&'static str>,
    /// Whether the disks that nothing may write to are there.
    pub(super) decoys: bool,
    /// How many bytes a second the medium gives at most; 0 for no limit.
    pub(super) bytes_per_second: u64,
    /// Whether there is one CD drive, into which the task comes when the ISO is no longer needed.
    pub(super) one_drive: bool,
    /// What it ends with.
    pub(super) end: End,
}

/// What carries out the steps of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tools {
    /// A command in the place of each: where the images are does not matter.
    Replaced,
    /// The images that are bound into the ISO; they tell their version.
    Bound,
}

/// How a case ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// With one report of success.
    Success,
    /// With one report of a failure that names this unit.
    Failure(&'static str),
    /// With the failure of this unit on the console alone: nobody is known to be told.
    Silent(&'static str),
    /// Refused, with one of these texts on the console.
    Refused(&'static [&'static str]),
}

/// What cases differ from.
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

/// The one that every run of CI makes.
pub(super) const FIRST: &[Case] = &[PLAIN];

/// All, for the nightly run.
pub(super) const ALL: &[Case] = &[
    PLAIN,
    Case { name: DIRECT, direct: true, ..PLAIN },
    Case { name: "secure-boot", firmware: Firmware::SecureBoot, decoys: true, ..PLAIN },
    Case { name: "bios", firmware: Firmware::Bios, ..PLAIN },
    Case { name: "to-ram", change: Some(Change::ToRam), ..PLAIN },
    Case { name: "one-drive", change: Some(Change::ToRam), one_drive: true, ..PLAIN },
    Case { name: "arm64", firmware: Firmware::UefiArm64, ..PLAIN },
    Case { name: "arm64-secure-boot", firmware: Firmware::SecureBootArm64, ..PLAIN },
    // What podman unpacks from it lies in memory.
    Case { name: "bound", tools: Tools::Bound, memory: 4096, ..PLAIN },
    Case { name: "slow", bytes_per_second: 1_000_000, ..PLAIN },
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
        ..broken(Change::Shim)
    },
    Case {
        name: "grub",
        end: End::Refused(&["Security Violation", "Verification failed"]),
        ..broken(Change::Grub)
    },
    Case { name: "kernel", end: End::Refused(&["bad shim signature"]), ..broken(Change::Kernel) },
    Case {
        name: "arm64-kernel",
        firmware: Firmware::SecureBootArm64,
        end: End::Refused(&["bad shim signature"]),
        ..broken(Change::Kernel)
    },
    Case {
        name: "initramfs",
        firmware: Firmware::Uefi,
        end: End::Refused(&["initramfs.img is damaged", "Initramfs unpacking failed"]),
        ..broken(Change::Initramfs)
    },
    Case {
        name: "root",
        firmware: Firmware::Uefi,
        end: End::Refused(&["is corrupted", "the root is damaged"]),
        ..broken(Change::Root)
    },
    Case {
        name: "medium",
        firmware: Firmware::Uefi,
        end: End::Refused(&["is not the medium that this kernel came from"]),
        ..broken(Change::Medium)
    },
];

/// The one that the time of the first is held against.
pub(super) const DIRECT: &str = "direct";

const DISPATCHER: &str = "dispatcher.service";

/// The ISO with one byte that is wrong. Secure Boot is what checks the first links.
const fn broken(change: Change) -> Case {
    Case { firmware: Firmware::SecureBoot, change: Some(change), ..PLAIN }
}
