// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The file in which a client keeps the newest record of channels that it has seen, by registry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use files::Mode;
use oci::Namespace;
use serde::{Deserialize, Serialize};

use crate::SeenRecord;

/// Largest state that is read.
const LIMIT: u64 = 1024 * 1024;

/// The newest record that was seen of each registry. The keys are `HOST[:PORT][/PREFIX]`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    seen: BTreeMap<String, SeenRecord>,
}

/// The newest record of `registry` that was seen, by the file at `path`.
///
/// # Errors
/// When it cannot be read. A state that is lost would let an old record pass, so that is never ignored.
pub fn seen(path: &Path, registry: &Namespace) -> io::Result<Option<SeenRecord>> {
    Ok(State::read(path)?.seen.remove(&registry.to_string()))
}

/// Writes `record` to the file at `path`, unless that has a newer one of `registry`. A lock on `PATH.lock` keeps what
/// other processes remember at the same time.
///
/// # Errors
/// When it cannot be locked, read or written.
pub fn remember(path: &Path, registry: &Namespace, record: SeenRecord) -> io::Result<()> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    // Held until the end. The file itself is replaced, so a lock on it would be on the old one.
    let lock = File::options().create(true).truncate(false).write(true).open(lock)?;
    lock.lock()?;
    let mut state = State::read(path)?;
    let key = registry.to_string();
    if state.seen.get(&key).is_some_and(|it| it.number >= record.number) {
        return Ok(());
    }
    state.seen.insert(key, record);
    state.write(path)
}

impl State {
    /// Reads the file at `path`; where there is none, nothing was seen.
    fn read(path: &Path) -> io::Result<Self> {
        let Some(file) = files::absent_is_none(File::open(path))? else {
            return Ok(Self::default());
        };
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Replaces the file at `path`.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        files::write(path, Mode::Exact(0o644), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_remembered_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let registry = |n: u64| format!("r{n}.example/x").parse::<Namespace>().unwrap();
        let record = |number: u64| SeenRecord { number, digest: number.to_string() };
        remember(&path, &registry(0), record(5)).unwrap();
        // From a run that began before.
        remember(&path, &registry(0), record(3)).unwrap();
        std::thread::scope(|scope| {
            for n in 1..=16 {
                let (path, registry, record) = (&path, registry(n), record(n));
                scope.spawn(move || remember(path, &registry, record).unwrap());
            }
        });
        assert_eq!(seen(&path, &registry(0)).unwrap(), Some(record(5)));
        for n in 1..=16 {
            assert_eq!(seen(&path, &registry(n)).unwrap(), Some(record(n)), "{n}");
        }
    }

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
