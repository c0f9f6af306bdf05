// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files of a release folder. Each is hashed at most once, and the hashed bytes are the ones
//! used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use oci::Digest;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::report::{Check, Findings, Problem};
use crate::{VerifyError, parallel};

/// Largest document (manifest, bundle, SBOM) that is read into memory.
pub(crate) const DOCUMENT_LIMIT: u64 = 64 * 1024 * 1024;
/// Most files and folders of a release folder. A release has hundreds.
const ENTRIES: usize = 100_000;
/// Deepest nesting of its folders: five levels down to a blob of an image.
const DEPTH: usize = 32;

/// The entries of a folder, by relative path with `/`.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// The kind of an entry.
#[derive(Debug)]
enum Entry {
    File(Content),
    Other(&'static str),
}

/// A regular file: its size when it was listed, and its digest once it was needed.
#[derive(Debug)]
struct Content {
    size: u64,
    sha256: OnceLock<Result<Digest, String>>,
}

impl Folder {
    /// Lists `root`, without reading any file. Links are not followed.
    ///
    /// # Errors
    /// When a folder can't be listed, or the folder is larger than any release.
    pub fn scan(root: &Path) -> Result<Self, VerifyError> {
        let mut folder = Self { root: root.to_owned(), entries: BTreeMap::new() };
        folder.list("", DEPTH)?;
        Ok(folder)
    }

    fn list(&mut self, folder: &str, depth: usize) -> Result<(), VerifyError> {
        let path = self.root.join(folder);
        let failed = |source| VerifyError::Folder { path: path.clone(), source };
        let too_large = |what: String| VerifyError::Folder {
            path: path.clone(),
            source: io::Error::other(what),
        };
        let Some(below) = depth.checked_sub(1) else {
            return Err(too_large(format!("folders are nested deeper than {DEPTH}")));
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name that is not UTF-8 is in no manifest, so a replacement character makes it
            // unexpected.
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.list(&path, below)?;
                continue;
            }
            if self.entries.len() == ENTRIES {
                return Err(too_large(format!("it has more than {ENTRIES} files")));
            }
            let entry = if kind.is_file() {
                let size = entry.metadata().map_err(failed)?.len();
                Entry::File(Content { size, sha256: OnceLock::new() })
            } else {
                Entry::Other(if kind.is_symlink() { LINK } else { DEVICE })
            };
            self.entries.insert(path, entry);
        }
        Ok(())
    }

    /// Paths of the entries in `folder` and below, in order.
    pub(crate) fn paths_below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let start = format!("{folder}/");
        let from = self.entries.range(start.clone()..).map(|(path, _)| path.as_str());
        from.take_while(move |path| path.starts_with(&start))
    }

    /// Hashes the files that have the given size, on all processors. A file of another size is
    /// refused without reading.
    pub(crate) fn hash(&self, files: &[(String, u64)]) {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        parallel::map(workers, files, |(path, size)| {
            if self.size(path).is_ok_and(|found| found == *size) {
                // A fault is reported where the digest is used.
                self.facts(path).ok();
            }
        });
    }

    /// States the digest of a file that was hashed when it was written, to a folder of this process.
    #[cfg(feature = "registry")]
    pub(crate) fn set_hashed(&self, path: &str, digest: Digest) {
        if let Ok(content) = self.content(path) {
            content.sha256.get_or_init(|| Ok(digest));
        }
    }

    /// The size in bytes of the file at `path`.
    pub(crate) fn size(&self, path: &str) -> Result<u64, Problem> {
        self.content(path).map(|content| content.size)
    }

    /// The SHA-256 and the size in bytes of the file at `path`.
    pub(crate) fn facts(&self, path: &str) -> Result<(&Digest, u64), Problem> {
        let content = self.content(path)?;
        let hashed = content.sha256.get_or_init(|| hash(&self.root.join(path), content.size));
        match hashed {
            Ok(digest) => Ok((digest, content.size)),
            Err(reason) => Err(Problem::Unreadable(reason.clone())),
        }
    }

    /// Checks size and SHA-256 of the file at `path`.
    pub(crate) fn expect(&self, path: &str, size: u64, sha256: &str) -> Result<(), Problem> {
        let found = self.size(path)?;
        if found != size {
            return Err(Problem::Size { expected: size, found });
        }
        let (digest, _) = self.facts(path)?;
        if digest.hex() != sha256 {
            let (expected, found) = (sha256.to_owned(), digest.hex().to_owned());
            return Err(Problem::Digest { expected, found });
        }
        Ok(())
    }

    /// The content of a document: the same bytes as for [`facts`](Self::facts).
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let content = self.content(path)?;
        let bytes = read(&self.root.join(path), DOCUMENT_LIMIT)?;
        let digest = Digest::sha256(&bytes);
        let known = content.sha256.get_or_init(|| Ok(digest.clone()));
        if content.size != bytes.len() as u64 || known.as_ref() != Ok(&digest) {
            return Err(Problem::Changed);
        }
        Ok(bytes)
    }

    fn content(&self, path: &str) -> Result<&Content, Problem> {
        match self.entries.get(path) {
            Some(Entry::File(content)) => Ok(content),
            Some(Entry::Other(kind)) => Err(Problem::NotAFile(kind)),
            None => Err(Problem::Missing),
        }
    }
}

/// Reports every file that is not in `named`.
pub(crate) fn check_unexpected(folder: &Folder, named: &BTreeSet<String>, findings: &mut Findings) {
    for path in folder.entries.keys().filter(|path| !named.contains(*path)) {
        findings.subject(path, "unknown", &[]);
        findings.fault(path, Check::Content, path, Problem::Unexpected);
    }
}

const LINK: &str = "a symbolic link";
const DEVICE: &str = "a device";

/// Reads a regular file of at most `limit` bytes, whole.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let file = match open(path) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(Problem::Missing),
        Err(Errno::LOOP) => return Err(Problem::NotAFile(LINK)),
        Err(e) => return Err(Problem::Unreadable(e.to_string())),
    };
    let unreadable = |e: io::Error| Problem::Unreadable(e.to_string());
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if !kind.is_file() {
        return Err(Problem::NotAFile(if kind.is_dir() { "a folder" } else { DEVICE }));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit { Err(Problem::TooLong { limit }) } else { Ok(bytes) }
}

/// The SHA-256 of a file with `size` bytes. Reading stops if it has grown.
fn hash(path: &Path, size: u64) -> Result<Digest, String> {
    let file = open(path).map_err(|e| e.to_string())?;
    match Digest::sha256_of(file.take(size.saturating_add(1))) {
        Ok((digest, found)) if found == size => Ok(digest),
        Ok(_) => Err(Problem::Changed.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

/// Opens a file without following a link or waiting for the writer of a FIFO.
fn open(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(bytes: &[u8]) -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), bytes).unwrap();
        let folder = Folder::scan(root.path()).unwrap();
        (root, folder)
    }

    #[test]
    fn a_document_that_changes_after_it_was_hashed_is_not_used() {
        for later in [&b"olh"[..], b"old and longer", b""] {
            let (root, folder) = folder(b"old");
            assert_eq!(folder.facts("file").unwrap().0, &Digest::sha256(b"old"));
            fs::write(root.path().join("file"), later).unwrap();
            assert!(matches!(folder.read("file"), Err(Problem::Changed)), "{later:?}");
        }
    }

    #[test]
    fn a_digest_is_that_of_the_bytes_that_were_read_before() {
        let (root, folder) = folder(b"old");
        assert_eq!(folder.read("file").unwrap(), b"old");
        fs::write(root.path().join("file"), b"new").unwrap();
        assert_eq!(folder.facts("file").unwrap().0, &Digest::sha256(b"old"));
        assert!(matches!(folder.read("file"), Err(Problem::Changed)));
    }

    #[test]
    fn a_link_or_fifo_that_takes_the_place_of_a_file_is_refused() {
        let (root, folder) = folder(b"old");
        let path = root.path().join("file");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(matches!(folder.read("file"), Err(Problem::NotAFile(_))));
        assert!(matches!(folder.facts("file"), Err(Problem::Unreadable(_))));
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(folder.read("file"), Err(Problem::NotAFile(_))));
    }

    #[test]
    fn what_has_another_size_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        // Reading this file would never end.
        File::create(root.path().join("file")).unwrap().set_len(1 << 40).unwrap();
        let folder = Folder::scan(root.path()).unwrap();
        folder.hash(&[("file".to_owned(), 3)]);
        let problem = folder.expect("file", 3, "").unwrap_err();
        assert!(matches!(problem, Problem::Size { expected: 3, .. }), "{problem}");
        assert!(matches!(folder.read("file"), Err(Problem::TooLong { .. })));
    }

    #[test]
    fn a_folder_that_is_no_release_by_its_size_is_not_listed_to_the_end() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/".repeat(DEPTH))).unwrap();
        let error = Folder::scan(root.path()).unwrap_err().to_string();
        assert!(error.contains("nested deeper"), "{error}");
    }
}
