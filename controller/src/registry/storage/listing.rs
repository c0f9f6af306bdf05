// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Paginated lists of repositories and tags.

use std::path::Path;

use oci::{Repository, Tag};

use super::Storage;
use super::error::StorageError;
use crate::durable::{self, WithPath as _};

/// Subfolders that make a folder a repository. Parents of repositories, and folders with uploads
/// only, are none.
const CONTENTS: [&str; 2] = ["_manifests", "_blobs"];

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Entries in list order.
    pub items: Vec<T>,
    /// Whether more entries follow.
    pub more: bool,
}

impl<T> Page<T> {
    /// Takes the first `limit` items.
    pub(crate) fn take(sorted: impl Iterator<Item = T>, limit: usize) -> Self {
        let mut items: Vec<T> = sorted.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }

    /// Calls `link` with the last item if more follow.
    pub(crate) fn next<L>(&self, link: impl FnOnce(&T) -> L) -> Option<L> {
        self.items.last().filter(|_| self.more).map(link)
    }
}

impl Storage {
    /// Returns one page of the tags of a repository, starting after `last`.
    ///
    /// # Errors
    /// [`StorageError::RepositoryUnknown`] if nothing was ever pushed to it.
    pub fn tags(
        &self,
        repository: &Repository,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Tag>, StorageError> {
        let path = self.layout.repository(repository);
        if !has_any(&path, &CONTENTS)? {
            return Err(StorageError::RepositoryUnknown(repository.clone()));
        }
        let tags = self.all_tags(repository)?.into_iter();
        Ok(Page::take(tags.filter(|tag| last.is_none_or(|last| tag.as_str() > last)), limit))
    }

    /// Returns one page of the repositories that are `visible`, starting after `last`.
    pub fn repositories(
        &self,
        visible: &dyn Fn(&Repository) -> bool,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Repository>, StorageError> {
        let all = self.all_repositories()?.into_iter();
        let after = all.filter(|name| last.is_none_or(|last| name.as_str() > last));
        Ok(Page::take(after.filter(|name| visible(name)), limit))
    }

    /// Returns all non-empty repositories, sorted by name.
    pub(super) fn all_repositories(&self) -> Result<Vec<Repository>, StorageError> {
        self.repositories_with(&CONTENTS)
    }

    /// Returns all repositories with a subfolder of one of these `kinds`, sorted by name.
    pub(super) fn repositories_with(
        &self,
        kinds: &[&str],
    ) -> Result<Vec<Repository>, StorageError> {
        let mut found = Vec::new();
        walk(&self.layout.repositories(), "", kinds, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }
}

fn walk(
    folder: &Path,
    prefix: &str,
    kinds: &[&str],
    found: &mut Vec<Repository>,
) -> Result<(), StorageError> {
    for name in durable::names(folder)? {
        if name.starts_with('_') {
            continue;
        }
        let path = folder.join(&name);
        let full = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if has_any(&path, kinds)?
            && let Ok(repository) = full.parse()
        {
            found.push(repository);
        }
        walk(&path, &full, kinds, found)?;
    }
    Ok(())
}

fn has_any(path: &Path, kinds: &[&str]) -> Result<bool, StorageError> {
    for kind in kinds {
        let kind = path.join(kind);
        if kind.try_exists().at("read", &kind)? {
            return Ok(true);
        }
    }
    Ok(false)
}
