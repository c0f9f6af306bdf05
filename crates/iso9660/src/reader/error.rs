// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What can be wrong with an image that is read.

use std::io;

/// Why an image, or a part of it, could not be read. Offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed.
    #[error("can't read the image at byte {offset}")]
    Io {
        /// The place.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no primary volume descriptor where one must be.
    #[error("not an ISO 9660 image: no primary volume descriptor from byte 32768 on")]
    NotIso,
    /// The image lacks the tree that was asked for.
    #[error("the image has no {namespace} names")]
    NoNamespace {
        /// Which one.
        namespace: &'static str,
    },
    /// Something against the format, or outside the image.
    #[error("the image is damaged at byte {offset}: {what}")]
    Corrupt {
        /// The place.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// More of something than the reader is ready to handle.
    #[error("the image has too much at byte {offset}: {what}, at most {limit}")]
    Limit {
        /// The place.
        offset: u64,
        /// What there is too much of.
        what: &'static str,
        /// How much would be read.
        limit: u64,
    },
    /// A path that leads nowhere.
    #[error("{path:?} is not in the image")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// A file was asked for, and the path leads to something else; or a folder.
    #[error("{name:?} is not a {expected}")]
    Kind {
        /// The entry's name.
        name: String,
        /// What was expected.
        expected: &'static str,
    },
}

pub(super) fn corrupt(offset: u64, what: &'static str) -> ReadError {
    ReadError::Corrupt { offset, what }
}
