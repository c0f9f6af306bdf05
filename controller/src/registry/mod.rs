// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The OCI registry: `storage` keeps, `access` and `users` decide who may, `http` speaks the protocol.

pub mod access;
pub mod http;
pub mod pattern;
pub mod storage;
pub mod users;
