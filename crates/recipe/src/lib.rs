// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The recipe: its JSON Schema, its validation and its typed model.
#![forbid(unsafe_code)]
