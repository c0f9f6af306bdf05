// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Readers of ELF and `ar` files.
#![forbid(unsafe_code)]

pub mod ar;
pub mod elf;
