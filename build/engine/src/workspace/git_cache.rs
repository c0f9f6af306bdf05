// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Cached Git queries: they take longer than the check that a gate's inputs are unchanged.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use foundation::{git, source};

/// Cached results. Valid until the source may have changed; see [`GitCache::clear`].
#[derive(Debug, Default)]
pub(super) struct GitCache {
    paths: Lazy<Arc<[String]>>,
    base: Lazy<git::Base>,
    released: Lazy<Option<String>>,
}

impl GitCache {
    /// See [`source::paths`].
    pub(super) fn paths(&self, root: &Path) -> Result<Arc<[String]>> {
        self.paths.get(|| source::paths(root).map(Arc::from))
    }

    /// See [`git::base`].
    pub(super) fn base(&self, root: &Path) -> Result<git::Base> {
        self.base.get(|| git::base(root))
    }

    /// Tag of the last release.
    pub(super) fn last_release(&self, root: &Path) -> Result<Option<String>> {
        self.released.get(|| git::last_release(root, "HEAD"))
    }

    /// Clears the cache.
    pub(super) fn clear(&self) {
        self.paths.clear();
        self.base.clear();
        self.released.clear();
    }
}

/// A lazily computed result. Concurrent callers wait for the first one.
#[derive(Debug)]
struct Lazy<T>(Mutex<Option<T>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Lazy<T> {
    /// Returns the cached result, or computes it with `ask`. Errors are not cached.
    fn get(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*answer {
            return Ok(known.clone());
        }
        let new = ask()?;
        *answer = Some(new.clone());
        Ok(new)
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_result_is_cached_until_it_is_cleared() {
        let answer = Lazy::default();
        let get = |value: &str| answer.get(|| Ok(value.to_owned())).unwrap();
        assert!(answer.get(|| bail!("no Git")).is_err());
        assert_eq!(get("one"), "one", "an error is not kept");
        assert_eq!(get("two"), "one");
        answer.clear();
        assert_eq!(get("three"), "three");
    }
}
