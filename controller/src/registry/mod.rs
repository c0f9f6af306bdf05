// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The OCI registry: `storage`, authorization (`access`, `users`) and the HTTP API (`http`).

pub mod access;
pub mod http;
pub mod pattern;
pub mod storage;
pub mod users;
