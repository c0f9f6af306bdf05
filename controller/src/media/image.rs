// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Images in the media folder, and a cache of their digests.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use axum::http::HeaderValue;
use oci::Digest;
use oci::digest::{Algorithm, Hasher};

use super::{Media, MediaError};
use crate::durable::{WithPath as _, absent_is_none};

/// Buffer size for hashing.
const BUFFER: usize = 128 * 1024;

/// Name of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Image {
    /// Task ISO of a job, by job id: `tasks/ID/task.iso`.
    Task(String),
    /// File provided by the operator: `static/NAME.iso`.
    Static(String),
    /// Firmware image provided by the operator: `firmware/NAME`.
    Firmware(String),
}

/// An invalid image name.
#[derive(Debug, thiserror::Error)]
#[error("invalid image name {0:?}: expected {1}")]
pub struct NameError(String, &'static str);

impl Image {
    /// Returns the image of a job.
    ///
    /// # Errors
    /// If the id contains characters other than ASCII letters, digits and dashes.
    pub fn task(job: &str) -> Result<Self, NameError> {
        let good = job.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if good && (1..=64).contains(&job.len()) {
            Ok(Self::Task(job.to_owned()))
        } else {
            Err(NameError(job.to_owned(), "a job id"))
        }
    }

    /// Returns an image of the operator, such as `maintenance.iso`.
    ///
    /// # Errors
    /// If the name does not end in `.iso`, or contains characters other than ASCII letters, digits,
    /// `.`, `_`, `-`.
    pub fn from_name(name: &str) -> Result<Self, NameError> {
        let stem = name.strip_suffix(".iso").unwrap_or_default();
        if is_plain(name) && (1..=128).contains(&stem.len()) && !stem.starts_with('.') {
            Ok(Self::Static(name.to_owned()))
        } else {
            Err(NameError(name.to_owned(), "NAME.iso of letters, digits, '.', '_' and '-'"))
        }
    }

    /// Returns a firmware image, such as `bios-2.0.0.bin`.
    ///
    /// # Errors
    /// If the name begins with `.`, or contains characters other than ASCII letters, digits, `.`,
    /// `_`, `-`.
    pub fn firmware(name: &str) -> Result<Self, NameError> {
        if is_plain(name) && (1..=128).contains(&name.len()) && !name.starts_with('.') {
            Ok(Self::Firmware(name.to_owned()))
        } else {
            Err(NameError(name.to_owned(), "a name of letters, digits, '.', '_' and '-'"))
        }
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Task(job) => folder.join("tasks").join(job).join("task.iso"),
            Self::Static(name) => folder.join("static").join(name),
            Self::Firmware(name) => folder.join("firmware").join(name),
        }
    }
}

/// Returns whether a file name needs no escaping, in a URL or elsewhere.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Identifies a file's content without reading it.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Metadata of a hashed image.
#[derive(Debug)]
pub(super) struct ImageMetadata {
    identity: Identity,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
    /// SHA-256 of the content.
    pub(super) digest: Digest,
    pub(super) etag: HeaderValue,
}

impl Media {
    /// Opens an image that is cached and unchanged. Does not block for long.
    pub(super) fn open_cached(&self, image: &Image) -> Option<(File, Arc<ImageMetadata>)> {
        let known = {
            let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.get(image)?)
        };
        let file = File::open(self.path(image)).ok()?;
        let same = Identity::of(&file.metadata().ok()?) == known.identity;
        same.then_some((file, known))
    }

    /// Opens an image, hashing it if it is new or changed.
    pub(super) fn read(&self, image: &Image) -> Result<(File, Arc<ImageMetadata>), MediaError> {
        let hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.open_cached(image) {
            return Ok(found);
        }
        let path = self.path(image);
        let opened = absent_is_none(File::open(&path)).at("open", &path)?;
        let Some(file) = opened else {
            self.evict(image);
            return Err(MediaError::Missing { path });
        };
        let known = Arc::new(examine(&file).at("read", &path)?);
        drop(hashing);
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(image.clone(), Arc::clone(&known));
        Ok((file, known))
    }

    pub(super) fn evict(&self, image: &Image) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(image);
    }
}

fn examine(mut file: &File) -> io::Result<ImageMetadata> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    let digest = hasher.finish();
    Ok(ImageMetadata {
        identity: Identity::of(&metadata),
        size: metadata.size(),
        modified: metadata.modified().ok(),
        etag: HeaderValue::try_from(format!("\"{}\"", digest.hex())).map_err(io::Error::other)?,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_escape_the_folder() {
        let long = "a".repeat(65);
        for job in ["", ".", "..", "a/b", "a.b", "a\nb", "ä", &long] {
            assert!(Image::task(job).is_err(), "{job:?}");
        }
        for name in [".iso", "..iso", "../x.iso", "a/b.iso", "x.img", "iso", "a b.iso", "ä.iso"] {
            assert!(Image::from_name(name).is_err(), "{name:?}");
        }
        for name in ["", ".", "..", ".x", "a/b", "a b", "ä", &"a".repeat(129)] {
            assert!(Image::firmware(name).is_err(), "{name:?}");
        }
        let firmware = Image::firmware("bios-2.0.0.bin").unwrap();
        assert_eq!(firmware.path(Path::new("/m")), Path::new("/m/firmware/bios-2.0.0.bin"));
        let folder = Path::new("/m");
        let task = Image::task("0190-AB").unwrap();
        assert_eq!(task.path(folder), Path::new("/m/tasks/0190-AB/task.iso"));
        let fixed = Image::from_name("maintenance-1.2_x86.iso").unwrap();
        assert_eq!(fixed.path(folder), Path::new("/m/static/maintenance-1.2_x86.iso"));
    }
}
