// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files of a release folder, each hashed once, as many at a time as there are processors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use oci::Digest;

use crate::VerifyError;
use crate::report::{Check, Findings, Problem};

/// The largest document (manifest, bundle, bill of materials) that is read into memory.
const DOCUMENT_LIMIT: u64 = 64 * 1024 * 1024;

/// What a folder holds, by path relative to it with `/`.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// What lies at a path.
#[derive(Debug, Clone)]
enum Entry {
    File { size: u64, sha256: Digest },
    Other(&'static str),
    Unreadable(String),
}

impl Folder {
    /// Lists `root` and hashes every file below it. Links are not followed.
    ///
    /// # Errors
    /// When a folder can't be listed. A file that can't be read is a fault of that file.
    pub fn scan(root: &Path) -> Result<Self, VerifyError> {
        let mut paths = Vec::new();
        list(root, "", &mut paths)
            .map_err(|(path, source)| VerifyError::Folder { path, source })?;
        let next = AtomicUsize::new(0);
        let entries = Mutex::new(BTreeMap::new());
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..workers.min(paths.len()) {
                scope.spawn(|| {
                    while let Some((path, kind)) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let entry = match kind {
                            Some(other) => Entry::Other(other),
                            None => hash(&root.join(path)),
                        };
                        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                        entries.insert(path.clone(), entry);
                    }
                });
            }
        });
        let entries = entries.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { root: root.to_owned(), entries })
    }

    /// The SHA-256 and the size in bytes of the file at `path`.
    pub(crate) fn facts(&self, path: &str) -> Result<(&Digest, u64), Problem> {
        match self.entries.get(path) {
            Some(Entry::File { size, sha256 }) => Ok((sha256, *size)),
            Some(Entry::Other(kind)) => Err(Problem::NotAFile(kind)),
            Some(Entry::Unreadable(reason)) => Err(Problem::Unreadable(reason.clone())),
            None => Err(Problem::Missing),
        }
    }

    /// Checks size and SHA-256 of the file at `path`.
    pub(crate) fn expect(&self, path: &str, size: u64, sha256: &str) -> Result<(), Problem> {
        let (digest, found) = self.facts(path)?;
        if found != size {
            return Err(Problem::Size { expected: size, found });
        }
        if digest.hex() != sha256 {
            let (expected, found) = (sha256.to_owned(), digest.hex().to_owned());
            return Err(Problem::Digest { expected, found });
        }
        Ok(())
    }

    /// Opens the file at `path`.
    pub(crate) fn open(&self, path: &str) -> Result<File, Problem> {
        self.facts(path)?;
        File::open(self.root.join(path)).map_err(|e| Problem::Unreadable(e.to_string()))
    }

    /// The content of a document.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let (_, size) = self.facts(path)?;
        if size > DOCUMENT_LIMIT {
            return Err(Problem::TooLong { limit: DOCUMENT_LIMIT });
        }
        let mut bytes = Vec::new();
        let mut document = self.open(path)?.take(DOCUMENT_LIMIT);
        document.read_to_end(&mut bytes).map_err(|e| Problem::Unreadable(e.to_string()))?;
        Ok(bytes)
    }
}

/// Notes every file that is not in `named`.
pub(crate) fn unexpected(folder: &Folder, named: &BTreeSet<String>, findings: &mut Findings) {
    for path in folder.entries.keys().filter(|path| !named.contains(*path)) {
        findings.subject(path, "unknown", &[]);
        findings.fault(path, Check::Content, path, Problem::Unexpected);
    }
}

/// Path of a file, and what it is if it is no file.
type Listed = (String, Option<&'static str>);

fn list(root: &Path, folder: &str, into: &mut Vec<Listed>) -> Result<(), (PathBuf, io::Error)> {
    let here = root.join(folder);
    let at = |source| (here.clone(), source);
    for entry in fs::read_dir(&here).map_err(at)? {
        let entry = entry.map_err(at)?;
        // A name that is not UTF-8 is in no manifest, so a replacement character can only be unexpected.
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let kind = entry.file_type().map_err(at)?;
        if kind.is_dir() {
            list(root, &path, into)?;
        } else if kind.is_file() {
            into.push((path, None));
        } else {
            into.push((path, Some(if kind.is_symlink() { "a symbolic link" } else { "a device" })));
        }
    }
    Ok(())
}

fn hash(path: &Path) -> Entry {
    match File::open(path).and_then(Digest::sha256_of) {
        Ok((sha256, size)) => Entry::File { size, sha256 },
        Err(e) => Entry::Unreadable(e.to_string()),
    }
}
