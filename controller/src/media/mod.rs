// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Images for the virtual media of BMCs, at addresses that are signed in their path.
//!
//! A BMC can't log in, and some refuse an address with `?` or `&`: so who knows the address may read
//! the image, until it expires. It is bound to the image's content: an image that was replaced has
//! another address.

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

pub(crate) use http::loggable;
pub use image::{Image, NameError};
pub(crate) use redact::redact;

use crate::durable::{self, FileError};
use content::Content;
use image::Known;
use token::Key;

/// Where images are kept and how their addresses are signed.
#[derive(Debug)]
pub struct Media {
    folder: PathBuf,
    key: Key,
    known: Mutex<HashMap<Image, Arc<Known>>>,
    /// Held while an image is hashed: a thousand BMCs that ask for the same one at once wait for one
    /// hash. Only threads of the lane `IMAGES` wait for it, so they can't use up the blocking pool.
    hashing: Mutex<()>,
}

/// Why an image could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// There is no such file.
    #[error("there is no image {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The name is none of an image.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The task that read it ended without an answer.
    #[error("read an image: {0}")]
    Task(tokio::task::JoinError),
}

impl Media {
    /// Opens the folder of images; makes it, and the key that signs, where there is none.
    ///
    /// # Errors
    /// When the folder can't be read or written, or its key is not one.
    pub fn open(folder: PathBuf) -> Result<Arc<Self>, MediaError> {
        durable::ensure_folder(&folder.join("tasks"))?;
        durable::ensure_folder(&folder.join("static"))?;
        let key = Key::load_or_make(&folder.join("key"))?;
        Ok(Arc::new(Self { folder, key, known: Mutex::default(), hashing: Mutex::default() }))
    }

    /// The file of an image.
    pub fn path(&self, image: &Image) -> PathBuf {
        image.path(&self.folder)
    }

    /// Keeps the content of an image, on the disk, in place of what it had.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, image: &Image, content: &[u8]) -> Result<(), MediaError> {
        Ok(durable::write(&self.path(image), content)?)
    }

    /// Removes an image, the folder of its job included; says whether there was one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, image: &Image) -> Result<bool, MediaError> {
        let path = self.path(image);
        self.forget(image);
        let removed = durable::remove(&path)?;
        if let (Image::Task(_), Some(folder)) = (image, path.parent()) {
            // It may hold what somebody else put there.
            fs::remove_dir(folder).ok();
        }
        Ok(removed)
    }

    /// The images of jobs that are kept, sorted by job.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn tasks(&self) -> Result<Vec<Image>, MediaError> {
        let jobs = durable::names(&self.folder.join("tasks"))?;
        Ok(jobs.iter().filter_map(|job| Image::task(job).ok()).collect())
    }

    /// The path of an image's address, to be put after `http://HOST:PORT`; good until `expires`.
    /// Reads the image where its digest is not known, so it blocks.
    ///
    /// # Errors
    /// When there is no such image, or the disk fails.
    pub fn address(&self, image: &Image, expires: SystemTime) -> Result<String, MediaError> {
        let content = Content::One(image.clone());
        let (expires, token) = self.sign(&content, expires)?;
        Ok(match image {
            Image::Task(job) => format!("/media/tasks/{expires}/{token}/{job}/task.iso"),
            Image::Static(name) => format!("/media/static/{expires}/{token}/{name}"),
        })
    }

    /// The same of an image of the operator's, by its name, with that of a job behind it.
    ///
    /// # Errors
    /// When one of them is not there or has no good name, or the disk fails.
    pub fn combined_address(
        &self,
        name: &str,
        job: &str,
        expires: SystemTime,
    ) -> Result<String, MediaError> {
        let content = Content::Combined { boot: Image::fixed(name)?, task: Image::task(job)? };
        let (expires, token) = self.sign(&content, expires)?;
        Ok(format!("/media/combined/{expires}/{token}/{job}/{name}"))
    }

    fn sign(&self, content: &Content, expires: SystemTime) -> Result<(u64, String), MediaError> {
        let digest = self.read_content(content)?.digest;
        let expires = token::seconds(expires);
        Ok((expires, self.key.sign(content, expires, &digest)))
    }
}

/// Where the folder of images is, below the folder of everything.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("media")
}
