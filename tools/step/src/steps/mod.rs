// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The steps: each turns a task into a plan, without side effects.

pub(crate) mod bootloader_linux;
pub(crate) mod bootloader_windows;
pub(crate) mod config_drive;
pub(crate) mod erase;
pub(crate) mod firmware;
pub(crate) mod image_linux;
pub(crate) mod image_windows;
pub(crate) mod partition;
