// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Readers of ELF, `ar` and RPM files.
#![forbid(unsafe_code)]

pub mod ar;
pub mod elf;
pub mod rpm;
