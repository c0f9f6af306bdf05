// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The provisioner service: API, webhook, Redfish, media and OCI registry.
#![forbid(unsafe_code)]

fn main() {}
