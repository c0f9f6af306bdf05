// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! An OCI image layout on disk (OCI image specification 1.1, "OCI Image Layout").
//!
//! Files are written atomically, and layouts with the same content have the same bytes. Content is
//! verified against digest and size when read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use files::{Mode, Pending};
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndex};
use serde::Serialize;

use crate::digest::{Algorithm, Digest, DigestError, Hasher, Mismatch, VerifyingReader};
use crate::json;

mod walk;
pub use walk::Contents;

/// Maximum size of a manifest in bytes: the minimum that registries must accept (OCI distribution
/// specification 1.1, "Pushing Manifests").
pub const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// The marker file with the layout version.
pub const MARKER: &str = "oci-layout";
/// Content of [`MARKER`].
pub const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the entry points of the layout.
pub const INDEX: &str = "index.json";

/// Reason why a layout could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Not a layout, or an unsupported version.
    #[error("{}: not an OCI image layout: {reason}", path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
        /// The missing or different part.
        reason: String,
    },
    /// A JSON document is malformed.
    #[error("{}: {source}", path.display())]
    Json {
        /// Path of the file.
        path: PathBuf,
        /// Line, column and field.
        source: serde_json::Error,
    },
    /// A blob does not match its descriptor.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// Path of the file.
        path: PathBuf,
        /// The difference.
        mismatch: Mismatch,
    },
    /// A descriptor has an invalid or unsupported digest.
    #[error("{}: {source}", path.display())]
    Digest {
        /// The folder of the layout.
        path: PathBuf,
        /// Cause.
        source: DigestError,
    },
    /// A manifest exceeds [`MANIFEST_LIMIT`].
    #[error("{}: a manifest of {size} bytes, expected at most {MANIFEST_LIMIT}", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Size in bytes, from its descriptor.
        size: u64,
    },
    /// An index in an index, or a manifest in a manifest.
    #[error("{}: {media_type:?} inside a document of the same kind", path.display())]
    Nested {
        /// Path of the blob.
        path: PathBuf,
        /// Media type in its descriptor.
        media_type: String,
    },
}

/// An image layout: a folder with `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX`.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Opens the layout in the folder `root`.
    ///
    /// # Errors
    /// When it is not a layout, or its version is not 1.0.0.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        #[derive(serde::Deserialize)]
        struct Marker {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let layout = Self { root: root.into() };
        let path = layout.root.join(MARKER);
        let not_a_layout = |reason| LayoutError::NotALayout { path: layout.root.clone(), reason };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(not_a_layout(format!("it has no file {MARKER}")));
            }
            Err(source) => return Err(LayoutError::Io { path, source }),
        };
        let marker: Marker =
            serde_json::from_slice(&bytes).map_err(|source| LayoutError::Json { path, source })?;
        if marker.version != "1.0.0" {
            return Err(not_a_layout(format!(
                "its version is {:?}, expected \"1.0.0\"",
                marker.version
            )));
        }
        Ok(layout)
    }

    /// Opens the layout in the folder `root`, creating an empty one if it does not exist.
    ///
    /// # Errors
    /// When the folder can't be written, or has a layout of another version.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let layout = Self { root: root.into() };
        let blobs = layout.root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| LayoutError::Io { path: blobs, source })?;
        if !layout.root.join(INDEX).exists() {
            layout.write_index(Vec::new())?;
        }
        // Written last: the marker declares the layout complete.
        if !layout.root.join(MARKER).exists() {
            layout.write_file(MARKER, MARKER_CONTENT)?;
        }
        Self::open(layout.root)
    }

    /// Path of the layout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the blob with the digest `digest`, which need not exist.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(blob_name(digest))
    }

    /// Reads `index.json`.
    pub fn index(&self) -> Result<ImageIndex, LayoutError> {
        let path = self.root.join(INDEX);
        let io = |source| LayoutError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes).map_err(io)?;
        let size = bytes.len() as u64;
        if size > MANIFEST_LIMIT {
            return Err(LayoutError::TooLarge { path, size });
        }
        serde_json::from_slice(&bytes).map_err(|source| LayoutError::Json { path, source })
    }

    /// Writes `index.json`, with `manifests` sorted by name, then by digest.
    pub fn write_index(&self, manifests: Vec<Descriptor>) -> Result<(), LayoutError> {
        let bytes = index_json(manifests)
            .map_err(|source| LayoutError::Io { path: self.root.join(INDEX), source })?;
        self.write_file(INDEX, &bytes)
    }

    /// Opens the blob of `descriptor`. Reading to the end verifies digest and size.
    ///
    /// # Errors
    /// When the blob is missing, or the digest algorithm is unsupported.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<VerifyingReader<File>, LayoutError> {
        let digest = self.digest(descriptor)?;
        let path = self.blob_path(&digest);
        match File::open(&path) {
            Ok(file) => Ok(VerifyingReader::new(file, digest, Some(descriptor.size()))),
            Err(source) => Err(LayoutError::Io { path, source }),
        }
    }

    /// Reads and verifies a manifest, index or other small document.
    ///
    /// # Errors
    /// When it is missing, too large, or does not match the descriptor.
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let size = descriptor.size();
        let mut reader = self.open_blob(descriptor)?;
        if size > MANIFEST_LIMIT {
            return Err(LayoutError::TooLarge {
                path: self.blob_path(&self.digest(descriptor)?),
                size,
            });
        }
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e) => Err(self.read_error(descriptor, e)?),
        }
    }

    /// Verifies a blob of any size by reading it.
    ///
    /// # Errors
    /// When it is missing, or does not match the descriptor.
    pub fn check_blob(&self, descriptor: &Descriptor) -> Result<(), LayoutError> {
        match io::copy(&mut self.open_blob(descriptor)?, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.read_error(descriptor, e)?),
        }
    }

    /// Writes `content` as a blob and returns its descriptor.
    ///
    /// # Errors
    /// When reading or writing fails; no file remains.
    pub fn write_blob(
        &self,
        media_type: &str,
        content: impl Read,
    ) -> Result<Descriptor, LayoutError> {
        let folder = self.root.join("blobs/sha256");
        let (digest, size) =
            store(&folder, content).map_err(|source| LayoutError::Io { path: folder, source })?;
        Ok(crate::artifact::descriptor(media_type, &digest, size))
    }

    /// Writes a JSON document, such as a manifest, in canonical form and returns its descriptor.
    pub fn write_json<T: Serialize>(
        &self,
        media_type: &str,
        document: &T,
    ) -> Result<Descriptor, LayoutError> {
        self.write_blob(media_type, self.to_json("blobs", document)?.as_slice())
    }

    fn digest(&self, descriptor: &Descriptor) -> Result<Digest, LayoutError> {
        Digest::try_from(descriptor.digest())
            .map_err(|source| LayoutError::Digest { path: self.root.clone(), source })
    }

    fn read_error(
        &self,
        descriptor: &Descriptor,
        error: io::Error,
    ) -> Result<LayoutError, LayoutError> {
        let path = self.blob_path(&self.digest(descriptor)?);
        let mismatch = error.get_ref().and_then(|inner| inner.downcast_ref::<Mismatch>()).cloned();
        Ok(match mismatch {
            Some(mismatch) => LayoutError::Mismatch { path, mismatch },
            None => LayoutError::Io { path, source: error },
        })
    }

    fn to_json<T: Serialize>(&self, name: &str, document: &T) -> Result<Vec<u8>, LayoutError> {
        json::canonical(document)
            .map_err(|source| LayoutError::Json { path: self.root.join(name), source })
    }

    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        files::write(&path, Mode::DEFAULT, content)
            .map_err(|source| LayoutError::Io { path, source })
    }
}

/// Name of the blob with the digest `digest` in a layout, with `/`.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Content of [`INDEX`], with `manifests` sorted by name, then by digest.
///
/// # Errors
/// Never for these fields; the builder's API is fallible.
pub fn index_json(mut manifests: Vec<Descriptor>) -> io::Result<Vec<u8>> {
    manifests.sort_by_cached_key(|descriptor| {
        let name = descriptor.annotations().as_ref().and_then(|a| a.get(ANNOTATION_REF_NAME));
        (name.cloned(), descriptor.digest().to_string())
    });
    let index = crate::artifact::index(manifests).map_err(io::Error::other)?;
    Ok(json::canonical(&index)?)
}

/// Writes `content` to a file in `folder` named by its digest.
fn store(folder: &Path, mut content: impl Read) -> io::Result<(Digest, u64)> {
    let mut writer = HashingWriter {
        file: Pending::new_in(folder, Mode::DEFAULT)?,
        hasher: Hasher::new(Algorithm::Sha256),
    };
    let size = io::copy(&mut content, &mut writer)?;
    let digest = writer.hasher.finish();
    writer.file.replace(&folder.join(digest.hex()))?;
    Ok((digest, size))
}

struct HashingWriter {
    file: Pending,
    hasher: Hasher,
}

impl Write for HashingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
