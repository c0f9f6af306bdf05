// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Images as OCI layouts: made from a root file system, brought into one form, and looked into.

pub(crate) mod base;
pub(crate) mod flatten;
pub(crate) mod layer;
pub(crate) mod normalise;
pub(crate) mod platforms;
pub(crate) mod root;
