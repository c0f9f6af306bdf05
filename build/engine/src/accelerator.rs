// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What executes the instructions of a virtual machine, as `--accel` names it.

/// What carries out a machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor, by Linux' KVM.
    Kvm,
    /// QEMU's emulation.
    Tcg,
}

impl Accelerator {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kvm, Self::Tcg];

    /// The value of `--accel`.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The one that `--accel` names so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.option() == name)
    }

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulation",
        }
    }
}
