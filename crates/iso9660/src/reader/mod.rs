// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads untrusted images.
//!
//! No image can make the reader panic, run forever or use unbounded memory: every number is checked
//! against the image's size and [`Limits`], and every folder is entered once. Errors name the
//! offset.

mod boot;
mod directory;
mod entry;
mod error;
mod file;
mod input;
mod scope;
mod susp;
mod volume;

pub use boot::BootImage;
pub use entry::{Entry, Kind, Posix};
pub use error::ReadError;
pub use file::FileReader;
pub use scope::{Limits, Namespace};
pub use volume::{Info, Volume};
