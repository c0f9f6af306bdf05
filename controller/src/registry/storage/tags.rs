// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tags: names that point to manifests of their repository.

use std::fs;

use oci::{Digest, Repository, Tag};

use super::Storage;
use super::error::StorageError;
use crate::durable::{self, At as _, absent_is_none};

impl Storage {
    /// What a tag points to.
    pub(super) fn resolve_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, StorageError> {
        let path = self.layout.tag(repository, tag);
        let text = absent_is_none(fs::read_to_string(&path)).at("read", &path)?;
        // A file that holds no digest was not written by this program: no such tag.
        Ok(text.and_then(|text| text.parse().ok()))
    }

    pub(super) fn set_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        if self.resolve_tag(repository, tag)?.as_ref() == Some(digest) {
            return Ok(());
        }
        Ok(durable::write(&self.layout.tag(repository, tag), digest.to_string().as_bytes())?)
    }

    /// The tags that point to `digest`.
    pub(super) fn tags_of(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Tag>, StorageError> {
        let mut tags = Vec::new();
        for tag in self.all_tags(repository)? {
            if self.resolve_tag(repository, &tag)?.as_ref() == Some(digest) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// Every tag of a repository, sorted.
    pub(super) fn all_tags(&self, repository: &Repository) -> Result<Vec<Tag>, StorageError> {
        let names = durable::names(&self.layout.tags(repository))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}
