// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Deterministic ISO 9660 images: a streaming writer and a reader.
//!
//! An [`Image`] is a tree of files with the fields of its volume; the same value gives the same
//! bytes on every machine. [`Layout`] assigns all positions before the first byte is written, so
//! that an image can be streamed. The writer covers ISO 9660 level 3 with Rock Ridge and Joliet,
//! files of more than 4 GiB, and booting from CD and disk. The [`reader`] reads untrusted images.
//! [`task`] writes the task image of a host, and [`combined`] appends it to another image.
//!
//! Sources of the formats: ECMA-119 4th edition, SUSP 1.12 and RRIP 1.12 (IEEE P1281 and P1282),
//! the Joliet Specification of 1995, El Torito 1.0, and UEFI 2.10 for partition tables.
//! `docs/explanation/iso9660.md` has limits, and the reasons for an own crate.
#![forbid(unsafe_code)]

mod bytes;
mod descriptors;
mod el_torito;
mod error;
mod gpt;
mod hierarchy;
mod items;
mod joliet;
mod layout;
mod model;
mod names;
mod records;
mod rock_ridge;
mod time;
mod writer;

pub mod combined;
pub mod reader;
pub mod task;

pub use error::WriteError;
pub use layout::Layout;
pub use model::{
    BiosBoot, Boot, Directory, Image, Labels, MAX_DEPTH, MAX_NAME, MAX_TARGET, Metadata, Node,
    Source,
};
