// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Image layers, compressed uniformly regardless of the program that built them.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::read::{GzDecoder, GzEncoder};
use foundation::archive;
use oci::digest::{Algorithm, Hasher};
use oci::spec::Descriptor;
use oci::{Digest, Layout, media_type};

/// Stores the tar stream `tar` compressed in `layout`; returns its descriptor and the digest of the
/// uncompressed stream (`diff_id`; OCI image specification, "Image JSON Terminology").
pub fn store(layout: &Layout, tar: impl Read) -> Result<(Descriptor, Digest)> {
    let mut hashing = Hashing { inner: tar, hasher: Hasher::new(Algorithm::Sha256) };
    let compressed: GzEncoder<_> =
        archive::gzip_header().read(BufReader::new(&mut hashing), archive::LEVEL);
    let descriptor = layout
        .write_blob(media_type::IMAGE_LAYER_GZIP, compressed)
        .with_context(|| format!("cannot store a layer in {}", layout.root().display()))?;
    Ok((descriptor, hashing.hasher.finish()))
}

/// Stores the tar file at `path`.
pub fn store_file(layout: &Layout, path: &Path) -> Result<(Descriptor, Digest)> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    store(layout, file)
}

/// Opens the uncompressed stream of the layer `descriptor`; reading to the end verifies the digest.
pub fn open(layout: &Layout, descriptor: &Descriptor) -> Result<Box<dyn Read>> {
    let blob = BufReader::new(layout.open_blob(descriptor)?);
    match descriptor.media_type().as_ref() {
        media_type::IMAGE_LAYER => Ok(Box::new(blob)),
        media_type::IMAGE_LAYER_GZIP => Ok(Box::new(GzDecoder::new(blob))),
        other => bail!("a layer has the media type {other}, expected tar or tar+gzip"),
    }
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}
