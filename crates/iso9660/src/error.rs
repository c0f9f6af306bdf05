// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Errors of writing an image.

use std::io;
use std::path::PathBuf;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A name or a path that the format or its readers cannot represent.
    #[error("{path:?} can't be stored in the image: {reason}")]
    Path {
        /// The path inside the image.
        path: String,
        /// What is wrong, and what is allowed.
        reason: &'static str,
    },
    /// A text field of a volume descriptor with a wrong character or length.
    #[error("{field} {value:?} is not valid: expected {expected}")]
    Field {
        /// The field's name, such as `volume id`.
        field: &'static str,
        /// The given value.
        value: String,
        /// The required form.
        expected: &'static str,
    },
    /// A time before 1970 or after 2155.
    #[error("{what}: {seconds} is not a time the format can hold: expected seconds since 1970, at most {max}", max = crate::time::MAX)]
    Time {
        /// The path inside the image, or `volume`.
        what: String,
        /// The given value, in seconds since the epoch.
        seconds: u64,
    },
    /// A limit is exceeded.
    #[error("{what} is too large: {size}, at most {limit}")]
    TooLarge {
        /// What exceeds its limit, with its unit.
        what: String,
        /// The value.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A boot image that is no file of the tree.
    #[error("the BIOS boot image {path:?} is not a file in the tree")]
    BootImage {
        /// The path inside the image.
        path: String,
    },
    /// The contents of a file could not be read.
    #[error("can't read the contents of {path:?}")]
    Source {
        /// The path inside the image.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A source has another length than at layout time.
    #[error(
        "the contents of {path:?} changed while the image was written: expected {expected} bytes, found {found}"
    )]
    SourceLength {
        /// The path inside the image.
        path: String,
        /// The length at layout time, in bytes.
        expected: u64,
        /// The length found; one more than expected for a surplus.
        found: u64,
    },
    /// The kernel could not copy a file into the image; it does not report which side failed.
    #[error("can't copy the contents of {path:?} into the image at byte {offset}")]
    Copy {
        /// The path inside the image.
        path: String,
        /// Offset of the file in the image, in bytes.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing the output failed.
    #[error("can't write the image at byte {offset}")]
    Output {
        /// The offset in the image, in bytes.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file operation around the image failed.
    #[error("can't {action} {}", path.display())]
    File {
        /// The operation, such as `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A job id that cannot be a volume id.
    #[error(
        "job id {id:?} is not valid: expected letters, digits and dashes, with a letter or digit"
    )]
    JobId {
        /// The given value.
        id: String,
    },
}
