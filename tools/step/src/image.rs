// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The operating system's image in its registry: the manifest for this machine, and its layers as
//! verified, decompressed streams.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use oci::client::{BlobReader, Client, Options};
use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, Reference, Repository, Selector, media_type};
use serde::Serialize;

use crate::progress::Progress;

/// Bytes that are read at once from the network.
const BUFFER: usize = 128 * 1024;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    /// `REGISTRY/REPOSITORY` with tag or digest.
    pub(crate) reference: String,
    /// The operating system to choose from an index, in the words of OCI: `linux` or `windows`.
    pub(crate) os: &'static str,
    /// The registry speaks http.
    pub(crate) plain_http: bool,
}

/// How registries are spoken to.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Access {
    /// The registry that speaks http. One on a loopback address always does.
    #[arg(long, value_name = "HOST[:PORT]", env = "PLAIN_HTTP_REGISTRY")]
    plain_http: Option<String>,
}

impl Access {
    /// The image `reference` for the operating system `os`.
    pub(crate) fn source(&self, reference: &str, os: &'static str) -> Source {
        let registry = reference.split('/').next();
        let plain_http = self.plain_http.is_some() && self.plain_http.as_deref() == registry;
        Source { reference: reference.to_owned(), os, plain_http }
    }
}

/// One image, by the digest of its manifest.
pub(crate) struct Image {
    client: Client,
    repository: Repository,
    digest: Digest,
    layers: Vec<Descriptor>,
}

impl Image {
    /// Asks the registry for the manifest; of an index, for the one that suits this machine.
    pub(crate) fn open(source: &Source) -> Result<Self> {
        let reference: Reference = source.reference.parse()?;
        let options = Options { plain_http: source.plain_http, ..Options::default() };
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

    /// Digest of its manifest.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its layers, lowest first.
    pub(crate) fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// Compressed size of all layers in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.layers.iter().map(Descriptor::size).fold(0, u64::saturating_add)
    }

    /// Opens a layer for reading. Its bytes are not proven before [`Layer::finish`].
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

/// The manifest in `index` for `os` on this machine's architecture, or the only one that there is.
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

/// A layer as the registry serves it, compressed or not.
pub(crate) struct Layer<'a> {
    bytes: BufReader<Counted<'a>>,
    digest: Digest,
}

impl Layer<'_> {
    /// The first bytes, which stay to be read. Fewer than 8 only where the layer is that short.
    pub(crate) fn magic(&mut self) -> Result<[u8; 8]> {
        let mut magic = [0; 8];
        let bytes = self.bytes.fill_buf().with_context(|| failed(&self.digest))?;
        for (to, from) in magic.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(magic)
    }

    /// Hands the decompressed stream to `consume`, then reads to the layer's end, where its digest
    /// and size are checked: only after that is what `consume` saw known to be right.
    ///
    /// Compression is told by the first bytes (RFC 1952, RFC 8878), because artifacts name their
    /// media types as they like.
    pub(crate) fn decompress(
        mut self,
        consume: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let consumed = match self.magic()? {
            [0x1f, 0x8b, ..] => consume(&mut MultiGzDecoder::new(&mut self.bytes)),
            // A frame, or a frame to be skipped, which zstd:chunked begins with.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                consume(&mut zstd::Decoder::with_buffer(&mut self.bytes)?)
            }
            [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'B', b'Z', b'h', ..] => {
                bail!("layer {}: compressed with xz or bzip2: use zstd or gzip", self.digest)
            }
            _ => consume(&mut self.bytes),
        };
        // A wrong digest explains whatever went wrong with the contents, so it is told first.
        self.finish()?;
        consumed
    }

    /// Hands the stream as it is to `consume`, then checks it.
    pub(crate) fn raw(mut self, consume: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
        let consumed = consume(&mut self.bytes);
        self.finish()?;
        consumed
    }

    fn finish(mut self) -> Result<()> {
        io::copy(&mut self.bytes, &mut io::sink()).with_context(|| failed(&self.digest))?;
        Ok(())
    }
}

fn failed(digest: &Digest) -> String {
    format!("the layer {digest} could not be pulled")
}

/// Counts the bytes of a blob as they arrive.
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
        /// A reference that the client takes and that names a tag or a digest is valid in a recipe.
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
