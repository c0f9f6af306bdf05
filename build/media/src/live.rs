// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The live ISO: the commands that make its parts, what the parts say of each other, and the tree
//! of files that it is made of; and what another builder of such ISOs expects, and what none may have.

pub mod contract;
pub mod installer;
pub mod medium;
pub mod parts;
pub mod tree;
