// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tags of a repository.

use std::fs;

use oci::{Digest, Repository, Tag};

use super::Storage;
use super::error::StorageError;
use crate::durable::{self, WithPath as _, absent_is_none};

/// Returns the subject of a fallback tag: `sha256-HEX`, or cosign's `sha256-HEX.sig` and the like
/// (OCI distribution specification 1.1, "Referrers Tag Schema").
pub(super) fn subject_of(tag: &Tag) -> Option<Digest> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let hex = rest.split_once('.').map_or(rest, |(hex, _)| hex);
    format!("{algorithm}:{hex}").parse().ok()
}

impl Storage {
    /// Returns the digest that a tag points to.
    pub(super) fn resolve_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, StorageError> {
        let path = self.layout.tag(repository, tag);
        let text = absent_is_none(fs::read_to_string(&path)).at("read", &path)?;
        // A malformed file was not written by this program: no such tag.
        Ok(text.and_then(|text| text.parse().ok()))
    }

    pub(super) fn set_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        // Even if it is unchanged: retention uses the time of the last push.
        Ok(durable::write(&self.layout.tag(repository, tag), digest.to_string().as_bytes())?)
    }

    /// Returns the tags that point to `digest`.
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

    /// Returns all tags of a repository, sorted.
    pub(super) fn all_tags(&self, repository: &Repository) -> Result<Vec<Tag>, StorageError> {
        let names = durable::names(&self.layout.tags(repository))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_follow_a_manifest_are_known_by_their_form() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let subject = |text: &str| subject_of(&text.parse().unwrap());
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        for suffix in ["", ".sig", ".att", ".sbom"] {
            assert_eq!(subject(&format!("sha256-{hex}{suffix}")), Some(digest.clone()));
        }
        for other in ["v1", "latest", "sha256-abc", &format!("md5-{hex}"), &format!("x{hex}")] {
            assert_eq!(subject(other), None, "{other}");
        }
    }
}
