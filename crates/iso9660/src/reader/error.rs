// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Errors of reading an image.

use std::io;

/// Why an image, or a part of it, could not be read. Offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed.
    #[error("can't read the image at byte {offset}")]
    Io {
        /// The offset.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no primary volume descriptor.
    #[error("not an ISO 9660 image: no primary volume descriptor from byte 32768 on")]
    NotIso,
    /// The image lacks the requested tree.
    #[error("the image has no {namespace} names")]
    NoNamespace {
        /// The tree.
        namespace: &'static str,
    },
    /// A violation of the format, or an offset outside the image.
    #[error("the image is damaged at byte {offset}: {what}")]
    Corrupt {
        /// The offset.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A limit of the reader is exceeded.
    #[error("the image has too much at byte {offset}: {what}, at most {limit}")]
    Limit {
        /// The offset.
        offset: u64,
        /// What exceeds its limit.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// No entry at this path.
    #[error("{path:?} is not in the image")]
    NotFound {
        /// The path.
        path: String,
    },
    /// A file was requested and the entry is something else, or a folder was.
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
