// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Stamps: records of finished steps, so that a repeated run does nothing.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;

/// Result of one action; sizes and digests only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ActionResult {
    /// Index of the action in the plan, from 1.
    pub(crate) action: usize,
    /// Bytes written, if counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Digest of the data written or pulled, as `sha256:HEX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

/// The stamp of a finished step, in `STATE/STEP.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The subcommand.
    pub(crate) step: String,
    /// Digest of the executed plan, as `sha256:HEX`.
    pub(crate) asked: String,
    /// Version of the program that executed it.
    pub(crate) version: String,
    /// Results of actions with a size or digest.
    pub(crate) done: Vec<ActionResult>,
}

/// The folder with the stamps, locked per step.
pub(crate) struct State {
    dir: PathBuf,
    step: &'static str,
    _lock: File,
}

impl State {
    /// Opens `dir`, creating it if missing, and locks it for `step`.
    ///
    /// Fails if another run of the same step holds the lock. The kernel releases the lock of a
    /// process that ended.
    pub(crate) fn open(dir: &Path, step: &'static str) -> Result<Self> {
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the state folder {}", dir.display()))?;
        let path = dir.join(format!("{step}.lock"));
        let lock =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), step, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another `step {step}` is running: it has locked {}", path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// The stamp of an earlier run. An unreadable stamp counts as none: the step then runs again.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>> {
        let path = self.path();
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Removes the stamp before a new run overwrites the earlier results.
    pub(crate) fn clear(&self) -> Result<()> {
        files::remove_if_there(&self.path())
    }

    /// Writes the stamp of a finished run.
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
            done: vec![ActionResult { action: 1, bytes: Some(3), digest: None }],
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
