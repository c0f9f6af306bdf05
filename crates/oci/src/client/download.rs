// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Blob downloads that resume after a lost or slow connection and verify the digest.

use std::io::{self, Read};
use std::time::Instant;

use oci_spec::image::ImageManifest;
use ureq::http::Method;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};

use super::error::{Call, ClientError};
use super::http::header;
use super::pace::Paced;
use super::{Action, Client};
use crate::artifact;
use crate::digest::{Digest, DigestError, Mismatch, VerifyingReader};
use crate::reference::Repository;

/// A blob download. Reading to the end verifies digest and size; after an error, the bytes read so
/// far must be discarded.
pub type BlobReader = VerifyingReader<ResumingReader>;

/// Bytes transferred between two failures that reset the failure count.
const PROGRESS: u64 = 1024 * 1024;

/// The bytes of a blob, resumed at the current offset after a failure.
pub struct ResumingReader {
    client: Client,
    repository: Repository,
    digest: Digest,
    deadline: Option<Instant>,
    body: Option<Paced>,
    offset: u64,
    size: u64,
    failures: u32,
    failed_at: u64,
    /// Failures with progress between them, too.
    resumed: u32,
    /// False if the registry ignored `Range`: a resumption then transfers everything again.
    has_ranges: bool,
}

/// An opened download.
struct Opened {
    call: Call,
    /// Total size of the blob, if the registry reports it.
    size: Option<u64>,
    has_ranges: bool,
    body: Paced,
}

impl std::fmt::Debug for ResumingReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ResumingReader({}@{} at {})", self.repository, self.digest, self.offset)
    }
}

/// Reason why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The manifest has no layer with this title.
    #[error("it has no {0}")]
    Missing(String),
    /// The layer is larger than the limit in bytes.
    #[error("{title} has more than {limit} bytes")]
    TooLong {
        /// Title of the layer.
        title: String,
        /// The limit.
        limit: u64,
    },
    /// The descriptor has an invalid digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The registry does not serve the layer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The content ended early, or has another digest.
    #[error("{title} cannot be read: {source}")]
    Content {
        /// Title of the layer.
        title: String,
        /// The error.
        source: io::Error,
    },
}

impl Client {
    /// Fetches the layer of `manifest` with this title, of at most `limit` bytes, and verifies it.
    ///
    /// # Errors
    /// As listed in [`LayerError`].
    pub fn fetch_titled_layer(
        &self,
        repository: &Repository,
        manifest: &ImageManifest,
        title: &str,
        limit: u64,
    ) -> Result<Vec<u8>, LayerError> {
        let layer = manifest.layers().iter().find(|it| artifact::title(it) == Some(title));
        let layer = layer.ok_or_else(|| LayerError::Missing(title.to_owned()))?;
        if layer.size() > limit {
            return Err(LayerError::TooLong { title: title.to_owned(), limit });
        }
        let digest = Digest::try_from(layer.digest())?;
        let mut bytes = Vec::new();
        self.document(repository, &digest, layer.size())?
            .read_to_end(&mut bytes)
            .map_err(|source| LayerError::Content { title: title.to_owned(), source })?;
        Ok(bytes)
    }

    /// Opens a blob ("Pulling Blobs"). `size` comes from a descriptor; without it, the registry's
    /// `Content-Length` is used.
    ///
    /// # Errors
    /// When the registry does not serve the blob, or reports another size.
    pub fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<BlobReader, ClientError> {
        self.read_blob(repository, digest, size, None)
    }

    /// Opens a blob that is a document: with a deadline for the whole of it.
    ///
    /// # Errors
    /// As [`Client::blob`].
    pub fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Result<BlobReader, ClientError> {
        self.read_blob(repository, digest, Some(size), self.deadline())
    }

    fn read_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<BlobReader, ClientError> {
        let opened = self.with_retries(|| self.open(repository, digest, 0, deadline))?;
        let Opened { call, size: announced, has_ranges, body } = opened;
        let size = match (size, announced) {
            (Some(expected), Some(found)) if expected != found => {
                let mismatch = Box::new(Mismatch::Size { digest: digest.clone(), expected, found });
                return Err(ClientError::Content { call, mismatch });
            }
            (Some(size), _) | (None, Some(size)) => size,
            (None, None) => {
                let reason = "the response has no Content-Length".to_owned();
                return Err(ClientError::Protocol { call, reason });
            }
        };
        let reader = ResumingReader {
            client: self.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
            deadline,
            body: Some(body),
            offset: 0,
            size,
            failures: 0,
            failed_at: 0,
            resumed: 0,
            has_ranges,
        };
        Ok(VerifyingReader::new(reader, digest.clone(), Some(size)))
    }

    /// Requests a blob from `offset` on.
    fn open(
        &self,
        repository: &Repository,
        digest: &Digest,
        offset: u64,
        deadline: Option<Instant>,
    ) -> Result<Opened, ClientError> {
        let mut request =
            self.request(Method::GET, repository, &format!("blobs/{digest}"), Action::Pull);
        request.deadline = deadline;
        if offset > 0 {
            request.headers.push((RANGE, format!("bytes={offset}-")));
        }
        let (parts, body) = self.call_once(&mut request, &[200, 206])?.into_parts();
        let mut body = Paced::new(body, self.options().rate);
        if parts.status == 206 {
            let range = header(&parts.headers, CONTENT_RANGE.as_str()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {offset}-")) {
                return Err(request
                    .protocol_error(format!("requested bytes from {offset}, received {range:?}")));
            }
            return Ok(Opened { call: request.call(), size: None, has_ranges: true, body });
        }
        // A registry may ignore Range and send the whole blob: skip what was read before.
        let skipped = io::copy(&mut (&mut body).take(offset), &mut io::sink());
        if offset > 0 && !matches!(skipped, Ok(n) if n == offset) {
            let source = skipped.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            return Err(ClientError::Transport { call: request.call(), source, transient: true });
        }
        let size = header(&parts.headers, CONTENT_LENGTH.as_str()).and_then(|l| l.parse().ok());
        // Nothing is transferred twice before the first resumption.
        Ok(Opened { call: request.call(), size, has_ranges: offset == 0, body })
    }
}

impl ResumingReader {
    /// Counts a failure, then waits for the next attempt or returns the error.
    fn handle_failure(&mut self, error: ClientError) -> io::Result<()> {
        self.body = None;
        if self.has_ranges && self.offset >= self.failed_at.saturating_add(PROGRESS) {
            self.failures = 0;
        }
        self.failures += 1;
        self.failed_at = self.offset;
        self.resumed += 1;
        if !error.is_transient() || self.resumed > self.client.options().resumptions {
            return Err(io::Error::other(error));
        }
        self.client.pause(self.failures, error).map_err(io::Error::other)
    }
}

impl Read for ResumingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = if let Some(body) = &mut self.body {
                body.read(buffer)
            } else {
                let Self { client, repository, digest, offset, deadline, .. } = &*self;
                match client.open(repository, digest, *offset, *deadline) {
                    Ok(Opened { body, has_ranges, .. }) => {
                        self.has_ranges = has_ranges;
                        self.body = Some(body);
                    }
                    Err(error) => self.handle_failure(error)?,
                }
                continue;
            };
            let source = match result {
                Ok(0) if self.offset < self.size && !buffer.is_empty() => {
                    io::ErrorKind::UnexpectedEof.into()
                }
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(e) => e,
            };
            let request = self.client.request(
                Method::GET,
                &self.repository,
                &format!("blobs/{}", self.digest),
                Action::Pull,
            );
            self.handle_failure(ClientError::Transport {
                call: request.call(),
                source,
                transient: true,
            })?;
        }
    }
}
