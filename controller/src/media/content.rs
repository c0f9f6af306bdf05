// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What an address gives: an image, or two images as one, which is put together as it is sent.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::HeaderValue;
use iso9660::combined::Joints;
use oci::Digest;

use super::image::{Image, Known};
use super::{Media, MediaError};
use crate::file_service::Piece;

/// What an address gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// An image as it is.
    One(Image),
    /// Two, as `iso9660::combined` has it.
    Combined {
        /// The one that boots.
        boot: Image,
        /// The one behind it.
        task: Image,
    },
}

/// Content that can be sent.
pub(super) struct Opened {
    pub(super) pieces: Vec<Piece>,
    pub(super) modified: Option<SystemTime>,
    /// Of the image; of two, the digest of both their digests.
    pub(super) digest: Digest,
    pub(super) etag: HeaderValue,
}

type Found = (std::fs::File, Arc<Known>);

impl Opened {
    fn one((file, known): Found) -> Self {
        Self {
            pieces: vec![Piece::File(Arc::new(file), known.size)],
            modified: known.modified,
            digest: known.digest.clone(),
            etag: known.etag.clone(),
        }
    }

    fn combined(boot: Found, task: Found) -> Self {
        let ((boot, first), (task, second)) = (boot, task);
        let Joints { padding, end } = Joints::new(first.size, second.size);
        let digest =
            Digest::sha256(format!("combined\n{}\n{}\n", first.digest, second.digest).as_bytes());
        let etag = HeaderValue::try_from(format!("\"{}\"", digest.hex()));
        Self {
            pieces: vec![
                Piece::File(Arc::new(boot), first.size),
                Piece::Memory(vec![0; padding].into()),
                Piece::File(Arc::new(task), second.size),
                Piece::Memory(Bytes::from(end)),
            ],
            modified: first.modified.max(second.modified),
            // Hex digits in quotes are always a value.
            etag: etag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
            digest,
        }
    }
}

impl Media {
    /// Opens what was read before and has not changed since: does not block for long.
    pub(super) fn recall_content(&self, content: &Content) -> Option<Opened> {
        Some(match content {
            Content::One(image) => Opened::one(self.recall(image)?),
            Content::Combined { boot, task } => {
                Opened::combined(self.recall(boot)?, self.recall(task)?)
            }
        })
    }

    /// Opens it and, where it is new or has changed, reads it for its digest.
    pub(super) fn read_content(&self, content: &Content) -> Result<Opened, MediaError> {
        Ok(match content {
            Content::One(image) => Opened::one(self.read(image)?),
            Content::Combined { boot, task } => {
                Opened::combined(self.read(boot)?, self.read(task)?)
            }
        })
    }
}
