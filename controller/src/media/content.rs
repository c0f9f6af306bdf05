// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Content of a media URL: one image, or two images combined while they are sent.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::HeaderValue;
use iso9660::combined::Joints;
use oci::Digest;

use super::image::{Image, Known};
use super::{Media, MediaError};
use crate::file_service::Piece;

/// Content of a media URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// One image.
    One(Image),
    /// Two images combined by `iso9660::combined`.
    Combined {
        /// The bootable image.
        boot: Image,
        /// The task image appended to it.
        task: Image,
    },
}

pub(super) struct Opened {
    pub(super) pieces: Vec<Piece>,
    pub(super) modified: Option<SystemTime>,
    /// Digest of the image; for a combination, of both digests.
    pub(super) digest: Digest,
    pub(super) etag: HeaderValue,
}

type Found = (std::fs::File, Arc<Known>);

impl Opened {
    fn from_one((file, known): Found) -> Self {
        Self {
            pieces: vec![Piece::File(Arc::new(file), known.size)],
            modified: known.modified,
            digest: known.digest.clone(),
            etag: known.etag.clone(),
        }
    }

    fn combine(boot: Found, task: Found) -> Self {
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
            // A quoted hex string is always a valid header value.
            etag: etag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
            digest,
        }
    }
}

impl Media {
    /// Opens content with known digests. Does not block for long.
    pub(super) fn open_cached_content(&self, content: &Content) -> Option<Opened> {
        Some(match content {
            Content::One(image) => Opened::from_one(self.open_cached(image)?),
            Content::Combined { boot, task } => {
                Opened::combine(self.open_cached(boot)?, self.open_cached(task)?)
            }
        })
    }

    /// Opens content, hashing new or changed images.
    pub(super) fn open_content(&self, content: &Content) -> Result<Opened, MediaError> {
        Ok(match content {
            Content::One(image) => Opened::from_one(self.read(image)?),
            Content::Combined { boot, task } => Opened::combine(self.read(boot)?, self.read(task)?),
        })
    }
}
