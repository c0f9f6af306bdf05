// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The file in which a client keeps the newest record of channels that it has seen, by registry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use files::Mode;
use serde::{Deserialize, Serialize};

use crate::SeenRecord;

/// Largest state that is read.
const LIMIT: u64 = 1024 * 1024;

/// The newest record that was seen of each registry. The keys are `HOST[:PORT][/PREFIX]`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) seen: BTreeMap<String, SeenRecord>,
}

impl State {
    /// Reads the file at `path`; where there is none, nothing was seen.
    ///
    /// # Errors
    /// When it cannot be read. A state that is lost would let an old record pass, so that is never ignored.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let Some(file) = files::absent_is_none(File::open(path))? else {
            return Ok(Self::default());
        };
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Replaces the file at `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        files::write(path, Mode::Exact(0o644), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(State::read(&path).unwrap(), State::default());
        let mut state = State::default();
        state
            .seen
            .insert("r.example/x".to_owned(), SeenRecord { number: 1, digest: "a".to_owned() });
        state.write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap(), state);
        std::fs::write(&path, "{").unwrap();
        State::read(&path).unwrap_err();
    }
}
