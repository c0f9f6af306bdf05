// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What files are made of: ELF, `ar`, RPM, and where two of them differ.
#![forbid(unsafe_code)]

pub mod ar;
pub mod compare;
pub mod elf;
pub mod rpm;
