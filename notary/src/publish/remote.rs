// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A blob of another registry as something to send: fetched into a temporary file when it is first read, so that
//! a blob that is there or mounted is not fetched.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use oci::client::Client;
use oci::{Digest, Repository};

/// A blob that is fetched when it is read.
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
            // The reader fails at the end of a content with another digest.
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
