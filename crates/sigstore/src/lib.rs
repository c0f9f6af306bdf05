// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sigstore keys, bundles, DSSE envelopes and in-toto statements.
#![forbid(unsafe_code)]
