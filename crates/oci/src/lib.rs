// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! OCI image layouts on disk and, with the feature client, a blocking registry client.
#![forbid(unsafe_code)]
