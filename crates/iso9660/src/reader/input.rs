// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The image as bytes at offsets, within its bounds.

use std::io::{Read, Seek, SeekFrom};

use super::error::{ReadError, corrupt};
use crate::bytes::{BLOCK, BLOCK_BYTES};

/// A reader that knows the size of the image.
pub(super) struct Input<R> {
    inner: R,
    size: u64,
}

impl<R: Read + Seek> Input<R> {
    pub(super) fn new(mut inner: R) -> Result<Self, ReadError> {
        let size =
            inner.seek(SeekFrom::End(0)).map_err(|source| ReadError::Io { offset: 0, source })?;
        Ok(Self { inner, size })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(corrupt(offset, "the image ends before what should be here"));
        }
        self.inner
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.inner.read_exact(buffer))
            .map_err(|source| ReadError::Io { offset, source })
    }

    pub(super) fn block(&mut self, number: u32) -> Result<[u8; BLOCK], ReadError> {
        let mut out = [0; BLOCK];
        self.read_at(u64::from(number) * BLOCK_BYTES, &mut out)?;
        Ok(out)
    }
}
