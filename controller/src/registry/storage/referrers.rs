// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Referrers: manifests with a `subject`, found by that subject.

use std::fs;

use oci::{Digest, Repository};

use super::Storage;
use super::document::ReferrerDescriptor;
use super::error::StorageError;
use super::listing::Page;
use crate::durable::{self, WithPath as _, absent_is_none};

impl Storage {
    /// Returns one page of the referrers of `subject`, sorted by digest and optionally filtered by
    /// artifact type. The page starts after the digest `last`.
    ///
    /// # Errors
    /// If the disk fails. An absent subject has no referrers.
    pub fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<ReferrerDescriptor>, StorageError> {
        let folder = self.layout.referrers(repository, subject);
        let after = last.map(file_name);
        let mut page = Page { items: Vec::new(), more: false };
        for name in durable::names(&folder)? {
            if after.as_ref().is_some_and(|after| name <= *after) {
                continue;
            }
            let path = folder.join(&name);
            let Some(text) = absent_is_none(fs::read(&path)).at("read", &path)? else { continue };
            let Ok(descriptor) = serde_json::from_slice::<ReferrerDescriptor>(&text) else {
                tracing::warn!(path = %path.display(), "ignored a malformed referrer descriptor");
                continue;
            };
            if artifact_type
                .is_some_and(|wanted| descriptor.artifact_type.as_deref() != Some(wanted))
            {
                continue;
            }
            // A crash may leave an entry whose manifest was not stored.
            let link = self.layout.manifest(repository, &descriptor.digest);
            if !link.try_exists().at("read", &link)? {
                continue;
            }
            if page.items.len() == limit {
                page.more = true;
                break;
            }
            page.items.push(descriptor);
        }
        Ok(page)
    }

    pub(super) fn add_referrer(
        &self,
        repository: &Repository,
        subject: &Digest,
        descriptor: &ReferrerDescriptor,
    ) -> Result<(), StorageError> {
        let path = self.layout.referrer(repository, subject, &descriptor.digest);
        let text = serde_json::to_vec(descriptor)
            .map_err(|e| StorageError::ManifestInvalid(e.to_string()))?;
        Ok(durable::write(&path, &text)?)
    }
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}
