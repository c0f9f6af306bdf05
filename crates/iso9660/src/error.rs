// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What can go wrong when an image is written.

use std::io;
use std::path::PathBuf;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A name or a path in the tree that the format or its readers can't hold.
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
        /// What was given.
        value: String,
        /// The form the format asks for.
        expected: &'static str,
    },
    /// A time before 1970 or after 2155.
    #[error("{what}: {seconds} is not a time the format can hold: expected seconds since 1970, at most {max}", max = crate::time::MAX)]
    Time {
        /// The path inside the image, or `volume`.
        what: String,
        /// What was given, in seconds since the epoch.
        seconds: u64,
    },
    /// More of something than the format or a stated limit allows.
    #[error("{what} is too large: {size}, at most {limit}")]
    TooLarge {
        /// What exceeds its limit, with its unit.
        what: String,
        /// How much there is.
        size: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A boot image that the tree does not hold as a file.
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
    /// A source holds more or fewer bytes than it said when the image was laid out.
    #[error(
        "the contents of {path:?} changed while the image was written: expected {expected} bytes, found {found}"
    )]
    SourceLength {
        /// The path inside the image.
        path: String,
        /// The length at layout time, in bytes.
        expected: u64,
        /// How many bytes there were; one more than expected when there was a surplus.
        found: u64,
    },
    /// The kernel could not copy a file into the image; it does not say which side failed.
    #[error("can't copy the contents of {path:?} into the image at byte {offset}")]
    Copy {
        /// The path inside the image.
        path: String,
        /// Where the file starts in the image, in bytes.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The output did not take the bytes.
    #[error("can't write the image at byte {offset}")]
    Output {
        /// The place in the image, in bytes.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file operation around the image failed.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried, such as `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A job id that makes no volume id.
    #[error(
        "job id {id:?} is not valid: expected letters, digits and dashes, with a letter or digit"
    )]
    JobId {
        /// What was given.
        id: String,
    },
}
