// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual media images at signed URLs.
//!
//! BMCs cannot log in, and some reject URLs with `?` or `&`. So the signature is in the path, and
//! grants access until it expires. It covers the image's digest: a replaced image has another URL.

mod content;
mod http;
mod image;
mod redact;
mod token;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

pub(crate) use http::redact_path;
pub use image::{Image, NameError};
pub(crate) use redact::redact;

use crate::durable::{self, FileError};
use content::Content;
use image::ImageMetadata;
use token::Key;

/// The media folder and the URL signing key.
#[derive(Debug)]
pub struct Media {
    folder: PathBuf,
    key: Key,
    known: Mutex<HashMap<Image, Arc<ImageMetadata>>>,
    /// Held while an image is hashed: concurrent requests of many BMCs for the same image wait for
    /// one hash. Only threads of the lane `IMAGES` wait, so they cannot exhaust the blocking pool.
    hashing: Mutex<()>,
}

/// Error of storing or finding an image.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file does not exist.
    #[error("image {path} does not exist")]
    Missing {
        /// Path of the file.
        path: PathBuf,
    },
    /// Invalid image name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A file system operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hashing task panicked or was cancelled.
    #[error("cannot read an image: {0}")]
    Task(tokio::task::JoinError),
}

impl Media {
    /// Opens the media folder. Creates it and the signing key if necessary.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or its key is malformed.
    pub fn open(folder: PathBuf) -> Result<Arc<Self>, MediaError> {
        durable::ensure_folder(&folder.join("tasks"))?;
        durable::ensure_folder(&folder.join("static"))?;
        durable::ensure_folder(&folder.join("firmware"))?;
        let key = Key::load_or_create(&folder.join("key"))?;
        Ok(Arc::new(Self { folder, key, known: Mutex::default(), hashing: Mutex::default() }))
    }

    /// Returns the path of an image.
    pub fn path(&self, image: &Image) -> PathBuf {
        image.path(&self.folder)
    }

    /// Stores or replaces an image on the disk.
    pub fn put(&self, image: &Image, content: &[u8]) -> Result<(), MediaError> {
        Ok(durable::write(&self.path(image), content)?)
    }

    /// Removes an image, and the folder of a job's image. Returns whether it existed.
    pub fn remove(&self, image: &Image) -> Result<bool, MediaError> {
        let path = self.path(image);
        self.evict(image);
        let removed = durable::remove(&path)?;
        if let (Image::Task(_), Some(folder)) = (image, path.parent()) {
            // Fails if the folder contains foreign files.
            fs::remove_dir(folder).ok();
        }
        Ok(removed)
    }

    /// Returns the stored images of jobs, sorted by job.
    pub fn tasks(&self) -> Result<Vec<Image>, MediaError> {
        let jobs = durable::names(&self.folder.join("tasks"))?;
        Ok(jobs.iter().filter_map(|job| Image::task(job).ok()).collect())
    }

    /// Returns the signed path of an image, to be appended to `http://HOST:PORT`, valid until
    /// `expires`. Blocks to hash the image if its digest is unknown.
    ///
    /// # Errors
    /// If the image does not exist, or the disk fails.
    pub fn address(&self, image: &Image, expires: SystemTime) -> Result<String, MediaError> {
        let content = Content::One(image.clone());
        let (expires, token) = self.sign(&content, expires)?;
        Ok(match image {
            Image::Task(job) => format!("/media/tasks/{expires}/{token}/{job}/task.iso"),
            Image::Static(name) => format!("/media/static/{expires}/{token}/{name}"),
            Image::Firmware(name) => format!("/media/firmware/{expires}/{token}/{name}"),
        })
    }

    /// Same, for an image of the operator combined with a job's image.
    ///
    /// # Errors
    /// If an image does not exist, a name is invalid, or the disk fails.
    pub fn combined_address(
        &self,
        name: &str,
        job: &str,
        expires: SystemTime,
    ) -> Result<String, MediaError> {
        let content = Content::Combined { boot: Image::from_name(name)?, task: Image::task(job)? };
        let (expires, token) = self.sign(&content, expires)?;
        Ok(format!("/media/combined/{expires}/{token}/{job}/{name}"))
    }

    fn sign(&self, content: &Content, expires: SystemTime) -> Result<(u64, String), MediaError> {
        let digest = self.open_content(content)?.digest;
        let expires = token::seconds(expires);
        Ok((expires, self.key.sign(content, expires, &digest)))
    }
}

/// Returns the media folder below the data folder.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("media")
}
