// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Content of a media URL: one image, or two images combined while they are sent.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::HeaderValue;
use iso9660::combined::CombinedPadding;
use oci::Digest;

use super::image::{Image, ImageMetadata};
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

pub(super) struct OpenedContent {
    pub(super) pieces: Vec<Piece>,
    pub(super) modified: Option<SystemTime>,
    /// Digest of the image; for a combination, of both digests.
    pub(super) digest: Digest,
    pub(super) etag: HeaderValue,
}

type OpenedImage = (std::fs::File, Arc<ImageMetadata>);

impl OpenedContent {
    fn from_one((file, known): OpenedImage) -> Self {
        Self {
            pieces: vec![Piece::File(Arc::new(file), known.size)],
            modified: known.modified,
            digest: known.digest.clone(),
            etag: known.etag.clone(),
        }
    }

    fn combine(boot: OpenedImage, task: OpenedImage) -> Self {
        let ((boot, first), (task, second)) = (boot, task);
        let CombinedPadding { padding, end } = CombinedPadding::new(first.size, second.size);
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
    pub(super) fn open_cached_content(&self, content: &Content) -> Option<OpenedContent> {
        Some(match content {
            Content::One(image) => OpenedContent::from_one(self.open_cached(image)?),
            Content::Combined { boot, task } => {
                OpenedContent::combine(self.open_cached(boot)?, self.open_cached(task)?)
            }
        })
    }

    /// Opens content, hashing new or changed images.
    pub(super) fn open_content(&self, content: &Content) -> Result<OpenedContent, MediaError> {
        Ok(match content {
            Content::One(image) => OpenedContent::from_one(self.read(image)?),
            Content::Combined { boot, task } => {
                OpenedContent::combine(self.read(boot)?, self.read(task)?)
            }
        })
    }
}
