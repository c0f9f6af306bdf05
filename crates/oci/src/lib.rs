// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! OCI image layouts on disk and, with the feature `client`, a blocking registry client.
//!
//! The types of manifests, indexes and configurations come from [`oci_spec`], re-exported as
//! [`spec`].
#![forbid(unsafe_code)]

pub mod artifact;
#[cfg(feature = "client")]
pub mod client;
pub mod digest;
pub mod json;
pub mod layout;
pub mod media_type;
mod namespace;
pub mod reference;
pub mod whiteout;

/// Entry points for `fuzz/`: private parsers of untrusted input.
#[cfg(all(fuzzing, feature = "client"))]
pub mod fuzzing {
    pub use crate::client::fuzzing::{challenge, token};
}

pub use digest::Digest;
pub use layout::Layout;
pub use namespace::{Namespace, Transport};
pub use oci_spec::image as spec;
pub use reference::{Reference, Registry, Repository, Selector, Tag};
pub use whiteout::Whiteout;
