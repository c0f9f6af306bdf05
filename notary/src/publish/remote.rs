// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A blob source in another registry. It is downloaded to a temporary file on first read, so that
//! blobs that exist or are mounted are not downloaded.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use oci::client::Client;
use oci::{Digest, Repository};

/// A blob that is downloaded on demand.
pub(super) struct Remote<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) fetched: Option<File>,
}

impl Remote<'_> {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.fetched.is_none() {
            let mut blob = self
                .client
                .blob(self.repository, self.digest, Some(self.size))
                .map_err(io::Error::other)?;
            let mut file = tempfile::tempfile()?;
            // The reader fails at the end if the digest differs.
            io::copy(&mut blob, &mut file)?;
            file.rewind()?;
            self.fetched = Some(file);
        }
        self.fetched.as_mut().ok_or_else(|| io::Error::other("the blob was not fetched"))
    }
}

impl Read for Remote<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file()?.read(buffer)
    }
}

impl Seek for Remote<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file()?.seek(position)
    }
}
