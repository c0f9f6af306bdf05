// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The on-host hand-off: from the task ISO to the systemd target that carries it out.
#![forbid(unsafe_code)]

fn main() {}
