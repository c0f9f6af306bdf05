// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Integration tests of the steps with loop devices, image files and the real programs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bootloader_linux;
mod common;
mod config_drive;
mod erase;
mod firmware;
mod image_linux;
mod partition;
mod plans;
mod registry;
mod windows;
