// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The contents of one file, section by section.

use std::io::{self, Read, Seek};

use super::entry::{Entry, Extent};
use super::input::Input;

/// Reads a file's contents from its start. An error of the image comes as an error of kind
/// `InvalidData` with a [`ReadError`](super::ReadError) inside.
pub struct FileReader<'a, R> {
    input: &'a mut Input<R>,
    /// The remaining sections, the next one last.
    extents: Vec<Extent>,
}

impl<'a, R: Read + Seek> FileReader<'a, R> {
    pub(super) fn new(input: &'a mut Input<R>, file: &Entry) -> Self {
        Self { input, extents: file.extents.iter().rev().copied().collect() }
    }
}

impl<R: Read + Seek> Read for FileReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.extents.last().is_some_and(|extent| extent.length == 0) {
            self.extents.pop();
        }
        let Some(extent) = self.extents.last_mut() else { return Ok(0) };
        let len = usize::try_from(extent.length).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..len) else { return Ok(0) };
        self.input
            .read_at(extent.offset, part)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        extent.offset += len as u64;
        extent.length -= len as u64;
        Ok(len)
    }
}
