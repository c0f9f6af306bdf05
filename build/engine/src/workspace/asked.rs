// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What Git said of the source, asked once for all who want to know: it takes longer to answer than a
//! gate takes to see that nothing changed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use foundation::{git, source};

/// Tags of releases, and those among them that are of candidates.
const RELEASES: (&str, &str) = ("v[0-9]*.[0-9]*.[0-9]*", "*-*");

/// The answers that a run has had. They hold until the source may have changed; see [`Asked::forget`].
#[derive(Debug, Default)]
pub(super) struct Asked {
    paths: Answer<Arc<[String]>>,
    base: Answer<git::Base>,
    released: Answer<Option<String>>,
}

impl Asked {
    /// See [`source::paths`].
    pub(super) fn paths(&self, root: &Path) -> Result<Arc<[String]>> {
        self.paths.get(|| source::paths(root).map(Arc::from))
    }

    /// See [`git::base`].
    pub(super) fn base(&self, root: &Path) -> Result<git::Base> {
        self.base.get(|| git::base(root))
    }

    /// The tag of the last release.
    pub(super) fn released(&self, root: &Path) -> Result<Option<String>> {
        let (releases, candidates) = RELEASES;
        self.released.get(|| git::nearest_tag(root, releases, candidates))
    }

    /// Has Git asked again from now on.
    pub(super) fn forget(&self) {
        self.paths.forget();
        self.base.forget();
        self.released.forget();
    }
}

/// One answer, once there is one. Those who ask at the same time wait for the first of them.
#[derive(Debug)]
struct Answer<T>(Mutex<Option<T>>);

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Answer<T> {
    /// The answer, by `ask` where there is none yet. An error is no answer.
    fn get(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*answer {
            return Ok(known.clone());
        }
        let new = ask()?;
        *answer = Some(new.clone());
        Ok(new)
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn asks_once_until_it_is_told_to_forget() {
        let answer = Answer::default();
        let get = |said: &str| answer.get(|| Ok(said.to_owned())).unwrap();
        assert!(answer.get(|| bail!("no Git")).is_err());
        assert_eq!(get("one"), "one", "an error is not kept");
        assert_eq!(get("two"), "one");
        answer.forget();
        assert_eq!(get("three"), "three");
    }
}
