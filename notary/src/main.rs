// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signs, attests, publishes and verifies a release: the part of the release system that holds keys and speaks to registries.
#![forbid(unsafe_code)]

fn main() {}
