// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! QEMU accelerators, the values of `--accel`.

/// A QEMU accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// Hardware virtualisation by Linux' KVM.
    Kvm,
    /// Software emulation by QEMU.
    Tcg,
}

impl Accelerator {
    /// All accelerators.
    pub const ALL: [Self; 2] = [Self::Kvm, Self::Tcg];

    /// The value of `--accel`.
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// Parses the value of `--accel`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.option() == name)
    }

    /// Name for output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulation",
        }
    }
}
