// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Manifests, addressed by digest or tag within a repository.

use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use oci::digest::Hasher;
use oci::{Digest, Repository, Selector, Tag};

use super::Storage;
use super::document::{Document, Target};
use super::error::StorageError;
use super::survey::Protected;
use super::tags::subject_of;
use crate::durable::{self, WithPath as _, absent_is_none};

/// A stored manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Digest.
    pub digest: Digest,
    /// Media type.
    pub media_type: String,
    /// Content.
    pub content: Bytes,
}

/// A manifest to be stored.
pub struct NewManifest<'a> {
    /// Content.
    pub content: &'a [u8],
    /// Digest under which the client pushes it; its algorithm is used. None: pushed by tag,
    /// SHA-256.
    pub digest: Option<Digest>,
    /// Media type stated by the client, without parameters.
    pub content_type: Option<&'a str>,
    /// Tags to set.
    pub tags: &'a [Tag],
    /// Whether a tag is immutable.
    pub immutable: &'a dyn Fn(&Tag) -> bool,
}

/// Result of a push.
#[derive(Debug)]
pub struct PutManifest {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Subject of the manifest, in whose referrers list it is now.
    pub subject: Option<Digest>,
}

fn check_digest(content: &[u8], expected: &Digest) -> Result<(), StorageError> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(content);
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    Err(StorageError::DigestMismatch { expected: expected.clone(), found })
}

impl Storage {
    /// Stores a manifest and sets tags, after checking that its references exist.
    ///
    /// # Errors
    /// If the manifest is invalid, a tag is immutable, or the disk fails. Then no tag was moved,
    /// unless the disk failed between two of them.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        new: &NewManifest<'_>,
    ) -> Result<PutManifest, StorageError> {
        let (document, media_type) = Document::parse(new.content, new.content_type)?;
        let digest = match &new.digest {
            None => Digest::sha256(new.content),
            Some(expected) => {
                check_digest(new.content, expected)?;
                expected.clone()
            }
        };
        let _change = self.lock_repository(repository)?;
        self.check_references(repository, &document)?;
        for tag in new.tags {
            if (new.immutable)(tag)
                && self.resolve_tag(repository, tag)?.is_some_and(|current| current != digest)
            {
                return Err(StorageError::TagImmutable(tag.clone()));
            }
        }
        if self.content_size(&digest)?.is_none() {
            durable::write(&self.layout.content(&digest), new.content)?;
        }
        let subject = document.subject().cloned();
        if let Some(subject) = &subject {
            let size = new.content.len() as u64;
            let descriptor = document.describe(&media_type, &digest, size);
            self.add_referrer(repository, subject, &descriptor)?;
        }
        durable::write(&self.layout.manifest(repository, &digest), media_type.as_bytes())?;
        for tag in new.tags {
            self.set_tag(repository, tag, &digest)?;
        }
        Ok(PutManifest { digest, subject })
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`StorageError::ManifestUnknown`] if it is not in the repository.
    pub fn manifest(
        &self,
        repository: &Repository,
        selector: &Selector,
    ) -> Result<Arc<Manifest>, StorageError> {
        let unknown = || StorageError::ManifestUnknown(selector.clone());
        let digest = match selector {
            Selector::Digest(digest) => digest.clone(),
            Selector::Tag(tag) => self.resolve_tag(repository, tag)?.ok_or_else(unknown)?,
        };
        self.manifest_by_digest(repository, &digest)?.ok_or_else(unknown)
    }

    /// Returns a cached manifest. Does not block for long, so async code may call it.
    pub fn cached_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<Arc<Manifest>> {
        self.cache.get(repository, digest, &self.layout)
    }

    /// Removes a tag. Its manifest stays.
    ///
    /// # Errors
    /// If the tag does not exist, it is `immutable` or belongs to a manifest with such a tag (as
    /// signatures do), or the disk fails.
    pub fn delete_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        immutable: Protected<'_>,
    ) -> Result<(), StorageError> {
        let _change = self.lock_repository(repository)?;
        if self.resolve_tag(repository, tag)?.is_some() {
            if immutable(repository, tag) {
                return Err(StorageError::TagImmutable(tag.clone()));
            }
            if let Some(subject) = subject_of(tag) {
                self.check_unprotected(repository, &subject, immutable)?;
            }
        }
        if durable::remove(&self.layout.tag(repository, tag))? {
            Ok(())
        } else {
            Err(StorageError::ManifestUnknown(Selector::Tag(tag.clone())))
        }
    }

    /// Removes a manifest, all tags that point to it, and its entry in the referrers list.
    ///
    /// # Errors
    /// If the manifest does not exist, an `immutable` tag needs it, or the disk fails.
    pub fn delete_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        immutable: Protected<'_>,
    ) -> Result<(), StorageError> {
        let _change = self.lock_repository(repository)?;
        let link = self.layout.manifest(repository, digest);
        if !link.try_exists().at("read", &link)? {
            return Err(StorageError::ManifestUnknown(Selector::Digest(digest.clone())));
        }
        let tags = self.tags_of(repository, digest)?;
        if let Some(tag) = tags.iter().find(|tag| immutable(repository, tag)) {
            return Err(StorageError::TagImmutable(tag.clone()));
        }
        self.check_unprotected(repository, digest, immutable)?;
        // Tags first, so that a crash in between leaves no dangling tag.
        for tag in &tags {
            durable::remove(&self.layout.tag(repository, tag))?;
        }
        self.unlink_manifest(repository, digest)
    }

    /// Removes the link of a manifest without tags.
    pub(super) fn unlink_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        // Corrupt manifests can be removed too; referrers lists skip the entry that is left.
        if let Ok(document) = self.read_document(repository, digest)
            && let Some(subject) = document.subject()
        {
            durable::remove(&self.layout.referrer(repository, subject, digest))?;
        }
        durable::remove(&self.layout.manifest(repository, digest))?;
        Ok(())
    }

    pub(super) fn manifest_by_digest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Arc<Manifest>>, StorageError> {
        if let Some(manifest) = self.cached_manifest(repository, digest) {
            return Ok(Some(manifest));
        }
        let Some(manifest) = self.read_manifest(repository, digest)?.map(Arc::new) else {
            return Ok(None);
        };
        self.cache.put(repository, &manifest);
        Ok(Some(manifest))
    }

    /// Reads a manifest from the disk.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if the content does not match its digest.
    pub(super) fn read_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Manifest>, StorageError> {
        let link = self.layout.manifest(repository, digest);
        let Some(media_type) = absent_is_none(fs::read_to_string(&link)).at("read", &link)? else {
            return Ok(None);
        };
        let Some(mut blob) = self.open_content(digest)? else { return Ok(None) };
        let mut content = Vec::new();
        blob.file.read_to_end(&mut content).at("read", &self.layout.content(digest))?;
        check_digest(&content, digest).map_err(|_| StorageError::Damaged(digest.clone()))?;
        Ok(Some(Manifest { digest: digest.clone(), media_type, content: content.into() }))
    }

    fn check_references(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), StorageError> {
        let mut missing = Vec::new();
        let mut check = |target: &Target, size: Option<u64>| match size {
            Some(size) if size == target.size => Ok(()),
            Some(size) => Err(StorageError::ManifestInvalid(format!(
                "{} has {size} bytes, the manifest states {}",
                target.digest, target.size
            ))),
            None => {
                missing.push(target.digest.clone());
                Ok(())
            }
        };
        for target in document.blobs() {
            check(target, self.linked_size(repository, &target.digest)?)?;
        }
        for target in document.manifests() {
            let link = self.layout.manifest(repository, &target.digest);
            let size = if link.try_exists().at("read", &link)? {
                self.content_size(&target.digest)?
            } else {
                // An index of artifacts may list blobs.
                self.linked_size(repository, &target.digest)?
            };
            check(target, size)?;
        }
        if missing.is_empty() { Ok(()) } else { Err(StorageError::ReferencesUnknown(missing)) }
    }
}
