// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Stamps: what a step was asked and what it did, so that a second run finds nothing to do.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;

/// What one action did; sizes and digests only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Index of the action in the plan, from 1.
    pub(crate) action: usize,
    /// Bytes written, where the action writes bytes that it can count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Digest of what was written or pulled, as `sha256:HEX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

/// The record that a finished step leaves in `STATE/STEP.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The subcommand.
    pub(crate) step: String,
    /// Digest of the plan that was carried out, as `sha256:HEX`.
    pub(crate) asked: String,
    /// Version of the program that did it.
    pub(crate) version: String,
    /// What came of the actions that have a size or a digest to report.
    pub(crate) done: Vec<Done>,
}

/// The folder with the stamps, held by one run of one step at a time.
pub(crate) struct State {
    dir: PathBuf,
    step: &'static str,
    _lock: File,
}

impl State {
    /// Opens `dir`, making it if need be, and locks it for `step`.
    ///
    /// Fails where another run of the same step holds the lock; the kernel frees the lock of a run
    /// that died.
    pub(crate) fn open(dir: &Path, step: &'static str) -> Result<Self> {
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the state folder {}", dir.display()))?;
        let path = dir.join(format!("{step}.lock"));
        let lock =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), step, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another `step {step}` is running: it holds {}", path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// The stamp of an earlier run, or none. A stamp that can't be read counts as none: the step
    /// then does its work again.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>> {
        let path = self.path();
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Forgets the earlier run: called before work that overwrites what that run did.
    pub(crate) fn clear(&self) -> Result<()> {
        files::remove_if_there(&self.path())
    }

    /// Records a finished run.
    pub(crate) fn record(&self, stamp: &Stamp) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(stamp)?;
        json.push(b'\n');
        files::write_atomically(&self.path(), 0o644, &json)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state"), "firmware").unwrap();
        assert_eq!(state.stamp().unwrap(), None);
        let stamp = Stamp {
            step: "firmware".into(),
            asked: "sha256:00".into(),
            version: "1".into(),
            done: vec![Done { action: 1, bytes: Some(3), digest: None }],
        };
        state.record(&stamp).unwrap();
        assert_eq!(state.stamp().unwrap(), Some(stamp));
        state.clear().unwrap();
        assert_eq!(state.stamp().unwrap(), None);
    }

    #[test]
    fn a_torn_stamp_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), "firmware").unwrap();
        fs::write(dir.path().join("firmware.json"), "{\"step\":").unwrap();
        assert_eq!(state.stamp().unwrap(), None);
    }

    #[test]
    fn one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = State::open(dir.path(), "firmware").unwrap();
        let error = State::open(dir.path(), "firmware").err().unwrap().to_string();
        assert!(error.contains("another `step firmware` is running"), "{error}");
        assert!(State::open(dir.path(), "partition").is_ok());
        drop(held);
        assert!(State::open(dir.path(), "firmware").is_ok());
    }
}
