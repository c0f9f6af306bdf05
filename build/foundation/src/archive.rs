// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reproducible tar.gz archives.
//!
//! Order, owner, mode and time of the files on disk never reach an archive, so every host writes
//! the same bytes. The format is POSIX ustar with GNU long names, inside gzip (RFC 1952).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::{Compression, GzBuilder};

use crate::atomic;

/// Operating system `unknown` in a gzip header (RFC 1952, 2.3.1).
const OS_UNKNOWN: u8 = 255;

/// Compression level of every gzip stream.
pub const LEVEL: Compression = Compression::best();

/// Mode of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0644.
    File,
    /// 0755.
    Executable,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative path with `/`, without `.` and `..`.
    pub path: String,
    /// Mode.
    pub mode: Mode,
    /// The file with its content.
    pub source: PathBuf,
}

/// Writes `members` as a tar.gz file at `path`, atomically; every mtime is `epoch`, in seconds.
pub fn write_file(path: &Path, members: Vec<Member>, epoch: u64) -> Result<()> {
    atomic::write_with(path, 0o644, |file| {
        write(io::BufWriter::new(file), members, epoch)?.flush()?;
        Ok(())
    })
}

/// Writes `members` as a tar.gz stream to `out` and returns `out`.
///
/// # Errors
/// When a path leaves the folder of extraction, two members have the same path, or a file changes
/// while it is read.
pub fn write<W: Write>(out: W, mut members: Vec<Member>, epoch: u64) -> Result<W> {
    members.sort_by(|a, b| a.path.cmp(&b.path));
    for pair in members.windows(2) {
        if let [a, b] = pair {
            ensure!(a.path != b.path, "the archive would contain {} twice", a.path);
        }
    }
    let mut archive = tar::Builder::new(gzip_header().write(out, LEVEL));
    for member in &members {
        check_path(&member.path)?;
        append(&mut archive, member, epoch)
            .with_context(|| format!("cannot add {} to the archive", member.path))?;
    }
    Ok(archive.into_inner()?.finish()?)
}

/// All files in the tar.gz archive at `path`, with their SHA-256 in hex.
///
/// # Errors
/// When it cannot be read or is not a tar.gz archive.
pub fn files(path: &Path) -> Result<BTreeMap<String, String>> {
    let place = || format!("cannot read the archive {}", path.display());
    files_in(BufReader::new(File::open(path).with_context(place)?)).with_context(place)
}

/// Like [`files()`], for a stream.
pub fn files_in(stream: impl Read) -> Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(stream));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.to_string_lossy().into_owned();
            let (digest, _) = oci::Digest::sha256_of(entry)?;
            files.insert(name, digest.hex().to_owned());
        }
    }
    Ok(files)
}

/// gzip header without name, time and system.
pub fn gzip_header() -> GzBuilder {
    GzBuilder::new().mtime(0).operating_system(OS_UNKNOWN)
}

fn append<W: Write>(archive: &mut tar::Builder<W>, member: &Member, epoch: u64) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(match member.mode {
        Mode::File => 0o644,
        Mode::Executable => 0o755,
    });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    let place = || format!("cannot read {}", member.source.display());
    let file = File::open(&member.source).with_context(place)?;
    let metadata = file.metadata().with_context(place)?;
    ensure!(metadata.is_file(), "{} is not a regular file", member.source.display());
    header.set_size(metadata.len());
    let reader = Exact { inner: BufReader::new(file), left: metadata.len() };
    archive.append_data(&mut header, &member.path, reader).with_context(place)
}

fn check_path(path: &str) -> Result<()> {
    let plain = !path.is_empty()
        && !path.contains('\0')
        && !path.ends_with('/')
        && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
        && path.split('/').all(|part| !part.is_empty() && part != ".");
    if !plain {
        bail!("{path:?} cannot be a path in an archive: expected a relative path without . and ..");
    }
    Ok(())
}

/// Reader that fails unless the file has exactly the size in the tar header.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other("the file grew while it was read")),
            };
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..want) else { return Ok(0) };
        let n = self.inner.read(part)?;
        if n == 0 && want != 0 {
            return Err(io::Error::other("the file shrank while it was read"));
        }
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
