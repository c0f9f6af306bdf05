// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Deterministic ISO 9660 images: a streaming writer and a reader.
#![forbid(unsafe_code)]
