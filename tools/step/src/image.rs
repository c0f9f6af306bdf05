// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Pulls an operating system image: manifest selection, and layers as verified, decompressed
//! streams.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use oci::client::{BlobReader, Client, Options};
use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, Reference, Repository, Selector, Transport, media_type};
use serde::Serialize;

use crate::arrange::MIB;
use crate::progress::Progress;

/// Read buffer size in bytes.
const BUFFER: usize = 128 * 1024;

/// Location of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    /// `REGISTRY/REPOSITORY` with tag or digest.
    pub(crate) reference: String,
    /// OCI platform to select from an index: `linux` or `windows`.
    pub(crate) os: &'static str,
    /// Use http for the registry.
    pub(crate) plain_http: bool,
}

/// Registry access.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Access {
    /// Use http for this registry; a registry on a loopback address always uses it
    #[arg(long, value_name = "HOST[:PORT]", env = "PLAIN_HTTP_REGISTRY")]
    plain_http: Option<String>,
}

impl Access {
    /// The source of the image `reference` for the operating system `os`.
    pub(crate) fn source(&self, reference: &str, os: &'static str) -> Source {
        let registry = reference.split('/').next();
        let plain_http = self.plain_http.is_some() && self.plain_http.as_deref() == registry;
        Source { reference: reference.to_owned(), os, plain_http }
    }
}

/// A resolved image.
pub(crate) struct Image {
    client: Client,
    repository: Repository,
    digest: Digest,
    layers: Vec<Descriptor>,
}

impl Image {
    /// Fetches the manifest; from an index, that of this platform.
    pub(crate) fn open(source: &Source) -> Result<Self> {
        let reference: Reference = source.reference.parse()?;
        let transport = if source.plain_http { Transport::PlainHttp } else { Transport::Usual };
        let options = Options { transport, ..Options::default() };
        let client = Client::new(&reference.registry, options);
        let repository = reference.repository.clone();
        let mut fetched = client.manifest(&repository, &reference.selector())?;
        if media_type::is_index(fetched.descriptor.media_type().as_ref()) {
            let index = ImageIndex::from_reader(fetched.bytes.as_slice())
                .with_context(|| format!("the index {} is malformed", source.reference))?;
            let digest = choose(&index, source.os)
                .with_context(|| format!("in the index {}", source.reference))?;
            fetched = client.manifest(&repository, &Selector::from(digest))?;
        }
        let digest = Digest::try_from(fetched.descriptor.digest())?;
        let manifest = ImageManifest::from_reader(fetched.bytes.as_slice())
            .with_context(|| format!("the manifest {digest} is malformed"))?;
        let layers = manifest.layers().clone();
        ensure!(!layers.is_empty(), "the image {digest} has no layers");
        Ok(Self { client, repository, digest, layers })
    }

    /// Digest of the manifest.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The layers, lowest first.
    pub(crate) fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// Compressed size of all layers in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.layers.iter().map(Descriptor::size).fold(0, u64::saturating_add)
    }

    /// Fails if a layer is not in the registry, or all together do not fit on a disk of `limit` bytes.
    pub(crate) fn check(&self, limit: u64) -> Result<()> {
        let size = self.size();
        ensure!(
            size < limit,
            "the image has {} MiB compressed, and the disk {} MiB",
            size.div_ceil(MIB),
            limit / MIB
        );
        for layer in &self.layers {
            let digest = Digest::try_from(layer.digest())?;
            let there = self.client.has_blob(&self.repository, &digest)?;
            ensure!(there, "the layer {digest} is not in the registry: push the image again");
        }
        Ok(())
    }

    /// Opens a layer. Its bytes are unverified until [`Layer::finish`].
    pub(crate) fn layer<'a>(
        &self,
        descriptor: &Descriptor,
        progress: &'a mut Progress,
    ) -> Result<Layer<'a>> {
        let digest = Digest::try_from(descriptor.digest())?;
        let blob = self
            .client
            .blob(&self.repository, &digest, Some(descriptor.size()))
            .with_context(|| format!("cannot pull the layer {digest}"))?;
        Ok(Layer { bytes: BufReader::with_capacity(BUFFER, Counted { blob, progress }), digest })
    }
}

/// Selects the manifest for `os` and this architecture, or the only one.
fn choose(index: &ImageIndex, os: &str) -> Result<Digest> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut offered = Vec::new();
    for descriptor in index.manifests() {
        let Some(platform) = descriptor.platform() else { continue };
        let (found_os, found) = (platform.os().to_string(), platform.architecture().to_string());
        if found_os == os && found == architecture {
            return Ok(Digest::try_from(descriptor.digest())?);
        }
        offered.push(format!("{found_os}/{found}"));
    }
    match index.manifests().as_slice() {
        [only] if only.platform().is_none() => Ok(Digest::try_from(only.digest())?),
        _ => bail!("there is no image for {os}/{architecture}, only {}", offered.join(", ")),
    }
}

/// A layer from the registry, compressed or not.
pub(crate) struct Layer<'a> {
    bytes: BufReader<Counted<'a>>,
    digest: Digest,
}

impl Layer<'_> {
    /// Peeks at the first 8 bytes; fewer if the layer is shorter.
    pub(crate) fn magic(&mut self) -> Result<[u8; 8]> {
        let mut magic = [0; 8];
        let bytes = self.bytes.fill_buf().with_context(|| explain_failure(&self.digest))?;
        for (to, from) in magic.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(magic)
    }

    /// Passes the decompressed stream to `consume`, then verifies digest and size of the layer.
    /// Data seen by `consume` is unverified until this returns.
    ///
    /// Compression is detected by magic number (RFC 1952, RFC 8878), because media types of
    /// artifacts are unreliable.
    pub(crate) fn decompress(
        mut self,
        consume: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let consumed = match self.magic()? {
            [0x1f, 0x8b, ..] => consume(&mut MultiGzDecoder::new(&mut self.bytes)),
            // A frame, or a skippable frame, which zstd:chunked starts with.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                consume(&mut zstd::Decoder::with_buffer(&mut self.bytes)?)
            }
            [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'B', b'Z', b'h', ..] => {
                bail!("layer {}: compressed with xz or bzip2: use zstd or gzip", self.digest)
            }
            _ => consume(&mut self.bytes),
        };
        // A digest mismatch explains any other error, so check it first.
        self.finish()?;
        consumed
    }

    /// Passes the unmodified stream to `consume`, then verifies it.
    pub(crate) fn raw(mut self, consume: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
        let consumed = consume(&mut self.bytes);
        self.finish()?;
        consumed
    }

    fn finish(mut self) -> Result<()> {
        io::copy(&mut self.bytes, &mut io::sink())
            .with_context(|| explain_failure(&self.digest))?;
        Ok(())
    }
}

fn explain_failure(digest: &Digest) -> String {
    format!("the layer {digest} could not be pulled")
}

/// Counts the bytes of a blob for progress.
struct Counted<'a> {
    blob: BlobReader,
    progress: &'a mut Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.blob.read(buffer)?;
        self.progress.add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every client reference with a tag or digest is valid in a recipe.
        #[test]
        fn the_grammars_of_recipes_and_of_the_client_agree(
            text in "([a-zA-Z0-9.:-]{1,9}/)?[a-z0-9._/-]{1,9}(:[A-Za-z0-9._-]{1,6})?(@sha256:[0-9a-f]{64})?",
        ) {
            let named = |it: Reference| it.tag.is_some() || it.digest.is_some();
            let client = text.parse::<Reference>().is_ok_and(named);
            prop_assert!(!client || text.parse::<recipe::OciReference>().is_ok(), "{text}");
        }
    }
}
