// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes and reads the tar archive of a bundle.
//!
//! Only regular files with the names of an image layout are accepted, each once, and every blob
//! must have the digest in its name. There is no compression and no sparse file, so a bundle cannot
//! grow when it is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use files::{Mode, Pending};
use oci::digest::VerifyingReader;
use oci::layout::{INDEX, MANIFEST_LIMIT, MARKER, MARKER_CONTENT, blob_name, index_json};
use oci::spec::Descriptor;
use oci::{Digest, Layout};

use super::super::planned::{Blob, Content};
use super::super::preflight::ensure_free;

/// Most files of a bundle. A release has hundreds.
const FILES: usize = 100_000;

/// Unit of a tar archive, and size of the header of each file, in bytes.
const BLOCK: u64 = 512;

/// Writes a layout with these entries and blobs to the file `path`, atomically. Returns its size in
/// bytes.
pub(super) fn write(
    path: &Path,
    entries: &[Descriptor],
    blobs: &BTreeMap<Digest, Blob>,
) -> Result<u64> {
    let folder = files::parent(path);
    let needed = files::space(BLOCK, blobs.values().map(|blob| blob.size.saturating_add(BLOCK)));
    ensure_free(folder, needed, || "the blobs of the release".to_owned())?;
    let mut pending = Pending::new_in(folder, Mode::DEFAULT)?;
    let mut archive = tar::Builder::new(BufWriter::new(pending.file()));
    append(&mut archive, MARKER, MARKER_CONTENT.len() as u64, MARKER_CONTENT)?;
    let index = index_json(entries.to_vec())?;
    append(&mut archive, INDEX, index.len() as u64, index.as_slice())?;
    for (digest, blob) in blobs {
        append_blob(&mut archive, blob).with_context(|| format!("blob {digest}"))?;
    }
    archive.into_inner()?.flush()?;
    let size = pending.file().metadata()?.len();
    pending.replace(path)?;
    Ok(size)
}

fn append_blob<W: Write>(archive: &mut tar::Builder<W>, blob: &Blob) -> Result<()> {
    let Blob { digest, size, content } = blob;
    let name = blob_name(digest);
    match content {
        Content::Bytes(bytes) => append(archive, &name, *size, bytes.as_slice()),
        Content::File(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            append(archive, &name, *size, VerifyingReader::new(file, digest.clone(), Some(*size)))
        }
        Content::Remote(client, repository) => {
            append(archive, &name, *size, client.blob(repository, digest, Some(*size))?)
        }
    }
}

/// Appends a file whose content is known to have `size` bytes.
fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    size: u64,
    content: impl Read,
) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    archive.append_data(&mut header, name, content)?;
    Ok(())
}

/// Extracts the bundle `path` to the new folder `root`.
///
/// # Errors
/// When it is not an image layout, or a blob does not match its digest.
pub(super) fn extract(path: &Path, root: &Path) -> Result<Layout> {
    let file = File::open(path)?;
    fs::create_dir_all(root.join("blobs/sha256"))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    // Raw: names of the extended formats are read into memory without a limit.
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        ensure!(number < FILES, "it has more than {FILES} files");
        let mut entry = entry.context("it is not a tar archive, or it is truncated")?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        extract_entry(&mut entry, &name, root).with_context(|| format!("{name:?}"))?;
    }
    Ok(Layout::open(root)?)
}

fn extract_entry(entry: &mut tar::Entry<'_, impl Read>, name: &str, root: &Path) -> Result<()> {
    let kind = entry.header().entry_type();
    ensure!(
        kind == tar::EntryType::Regular,
        "it is an entry of type {kind:?}, expected a regular file"
    );
    let size = entry.header().entry_size()?;
    if matches!(name, MARKER | INDEX) {
        ensure!(size <= MANIFEST_LIMIT, "it has {size} bytes, expected at most {MANIFEST_LIMIT}");
        return store(&root.join(name), entry);
    }
    let Some(digest) = blob_digest(name) else {
        bail!("it is not a file of a bundle, expected {MARKER}, {INDEX} or blobs/sha256/HEX");
    };
    store(&root.join(name), VerifyingReader::new(entry, digest, Some(size)))
}

/// The digest in the name of a blob.
fn blob_digest(name: &str) -> Option<Digest> {
    let hex = name.strip_prefix("blobs/sha256/")?;
    format!("sha256:{hex}").parse().ok()
}

/// Writes a new file.
fn store(path: &Path, mut content: impl Read) -> Result<()> {
    let mut file = File::create_new(path)?;
    io::copy(&mut content, &mut file)?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        let bytes = name.as_bytes();
        header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, content).unwrap();
        let mut bytes = archive.into_inner().unwrap();
        bytes.truncate(bytes.len() - 1024);
        bytes
    }

    #[test]
    fn a_bundle_that_does_not_fit_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let digest = Digest::sha256(b"");
        let blob =
            Blob { digest: digest.clone(), size: 1 << 60, content: Content::Bytes(Vec::new()) };
        let blobs = BTreeMap::from([(digest, blob)]);
        let error = write(&folder.path().join("a.tar"), &[], &blobs).unwrap_err().to_string();
        assert!(error.contains("the blobs of the release need"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Extracts an archive of these bytes.
    fn read(archive: &[u8]) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.tar");
        fs::write(&path, archive).unwrap();
        let read = extract(&path, &folder.path().join("layout"));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap()).collect();
        assert_eq!(names.len(), 2, "a file was written outside: {names:?}");
        read.map(drop)
    }

    #[test]
    fn entries_that_no_bundle_has_are_refused() {
        use tar::EntryType;
        let marker = entry(MARKER, EntryType::Regular, MARKER_CONTENT);
        read(&marker).unwrap();
        let blob = Digest::sha256(b"x");
        let name = blob_name(&blob);
        let other = blob_name(&Digest::sha256(b"y"));
        for (entry, expected) in [
            (entry("../oci-layout", EntryType::Regular, b"x"), "not a file of a bundle"),
            (entry("/oci-layout", EntryType::Regular, b"x"), "not a file of a bundle"),
            (entry("blobs/sha256/../../x", EntryType::Regular, b"x"), "not a file of a bundle"),
            (entry("blobs/sha512/00", EntryType::Regular, b"x"), "not a file of a bundle"),
            (entry(&name, EntryType::Symlink, b""), "type Symlink"),
            (entry(&name, EntryType::Link, b""), "type Link"),
            (entry(&name, EntryType::Directory, b""), "type Directory"),
            (entry(&name, EntryType::GNUSparse, b"x"), "type GNUSparse"),
            (entry(&name, EntryType::GNULongName, b"x"), "type GNULongName"),
            (entry(&name, EntryType::XHeader, b"x"), "type XHeader"),
            (entry(&other, EntryType::Regular, b"x"), "expected sha256:"),
            (
                entry(INDEX, EntryType::Regular, &vec![b' '; (4 << 20) + 1]),
                "bytes, expected at most",
            ),
            (marker.clone(), "exists"),
        ] {
            let error = format!("{:#}", read(&[marker.clone(), entry].concat()).unwrap_err());
            assert!(error.contains(expected), "{expected}: {error}");
        }
        let good = [marker, entry(&name, EntryType::Regular, b"x")].concat();
        read(&good).unwrap();
        let error = format!("{:#}", read(&good[..good.len() - 512]).unwrap_err());
        assert!(error.contains("0 bytes") || error.contains("truncated"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            drop(read(&bytes));
        }
    }
}
