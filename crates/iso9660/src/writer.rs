// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Streams an image out, front to back, in one pass.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use files::{Mode, Pending};

use crate::WriteError;
use crate::bytes::{BLOCK, BLOCK_BYTES, put};
use crate::descriptors::{self, FIRST};
use crate::el_torito::{TABLE_END, TABLE_OFFSET, fill, info_checksum, info_table};
use crate::hierarchy::Namespace;
use crate::items::{Kind, block};
use crate::layout::Layout;
use crate::model::{Image, Source, SourceKind};
use crate::records::Order;

/// Buffer for contents, and for the output of [`Image::write_to_file`].
const BUFFER: usize = 256 * 1024;
/// Files up to this size go through the output's buffer; larger ones are copied by the kernel
/// where it can.
const SMALL: u64 = 64 * 1024;

impl Image {
    /// Writes the image to `out` and answers its size in bytes.
    pub fn write_to<W: Write>(&self, out: W) -> Result<u64, WriteError> {
        Layout::new(self)?.write_to(out)
    }

    /// Writes the image to a file, whole or not at all: see [`Layout::write_to_file`].
    pub fn write_to_file(&self, path: &Path) -> Result<u64, WriteError> {
        Layout::new(self)?.write_to_file(path)
    }
}

impl Layout<'_> {
    /// Writes the image to `out`, which need not seek, and answers its size in bytes. What is in
    /// memory at a time is a buffer and one directory.
    pub fn write_to<W: Write>(&self, out: W) -> Result<u64, WriteError> {
        let mut out = Output { inner: out, position: 0 };
        self.write_front(&mut out)?;
        for (i, item) in self.items.iter().enumerate() {
            if let Kind::File(source) = item.kind
                && source.len > 0
            {
                out.seek_to(item.block)?;
                self.write_file(&mut out, i, source)?;
            }
        }
        let disk = self.disk();
        if let Some((disk, esp)) = disk
            .as_ref()
            .zip(self.image.boot.as_ref())
            .and_then(|(disk, boot)| Some((disk, boot.esp.as_ref()?)))
        {
            let (from, _) = disk.esp.unwrap_or_default();
            out.seek_to(block(from)?)?;
            out.copy(esp, "EFI system partition", 0)?;
        }
        out.pad()?;
        if let Some(disk) = disk {
            out.write(&disk.backup())?;
        }
        out.flush()?;
        Ok(out.position)
    }

    /// Everything before the first file.
    fn write_front<W: Write>(&self, out: &mut Output<W>) -> Result<(), WriteError> {
        if let Some(disk) = self.disk() {
            out.write(&disk.system_area())?;
        }
        out.seek_to(FIRST)?;
        let blocks = self.volume_blocks()?;
        let primary = self.tree_location(Namespace::Primary);
        out.write(&descriptors::primary(self.image, blocks, &primary))?;
        let catalog = self.catalog();
        if let Some((block, _)) = catalog {
            out.write(&descriptors::boot_record(block))?;
        }
        let joliet = self.tree_location(Namespace::Joliet);
        out.write(&descriptors::supplementary(self.image, blocks, &joliet))?;
        out.write(&descriptors::terminator())?;
        let tables = [
            (&self.primary, Order::Little),
            (&self.primary, Order::Big),
            (&self.joliet, Order::Little),
            (&self.joliet, Order::Big),
        ];
        for ((tree, order), block) in tables.into_iter().zip(self.tables) {
            out.seek_to(block)?;
            out.write(&tree.path_table(&self.items, order))?;
        }
        if let Some((block, catalog)) = catalog {
            out.seek_to(block)?;
            out.write(&catalog)?;
        }
        for tree in [&self.primary, &self.joliet] {
            out.seek_to(tree.root().block)?;
            for directory in tree.encode_directories(&self.items) {
                out.write(&directory)?;
            }
        }
        Ok(())
    }

    fn write_file<W: Write>(
        &self,
        out: &mut Output<W>,
        item: usize,
        source: &Source,
    ) -> Result<(), WriteError> {
        let path = self.path(item);
        if self.patched_item() != Some(item) {
            return out.copy(source, &path, 0);
        }
        let fail = |source| WriteError::Source { path: path.clone(), source };
        let checksum = source.open().and_then(|mut reader| info_checksum(&mut *reader));
        let mut head = [0; TABLE_END];
        let len = source.open().and_then(|mut reader| fill(&mut *reader, &mut head));
        let len = len.map_err(fail)?;
        let block = self.items.get(item).map_or(0, |item| item.block);
        let size = u32::try_from(source.len).map_err(|_| WriteError::TooLarge {
            what: format!("the boot image {path:?} in bytes"),
            size: source.len,
            limit: u64::from(u32::MAX),
        })?;
        let table = info_table(FIRST, block, size, checksum.map_err(fail)?);
        put(&mut head, TABLE_OFFSET, &table);
        let head = head.get(..len).unwrap_or_default();
        out.write(head)?;
        out.copy(source, &path, head.len() as u64)
    }

    /// Writes the image to a file atomically ([`Pending`]).
    pub fn write_to_file(&self, path: &Path) -> Result<u64, WriteError> {
        let fail =
            |action| move |source| WriteError::File { action, path: path.to_owned(), source };
        let file = Pending::new_in(files::parent(path), Mode::DEFAULT).map_err(fail("create"))?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let size = self.write_to(&mut out)?;
        let file = out.into_inner().map_err(|error| fail("write")(error.into_error()))?;
        file.replace(path).map_err(fail("write"))?;
        Ok(size)
    }
}

/// The output, and how far it got.
struct Output<W> {
    inner: W,
    position: u64,
}

impl<W: Write> Output<W> {
    fn fail(&self, source: io::Error) -> WriteError {
        WriteError::Output { offset: self.position, source }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.inner.flush().map_err(|error| self.fail(error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.inner.write_all(bytes).map_err(|error| self.fail(error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to the next block.
    fn pad(&mut self) -> Result<(), WriteError> {
        let len = self.position.next_multiple_of(BLOCK_BYTES) - self.position;
        let zeros = [0; BLOCK];
        self.write(zeros.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default())
    }

    /// Zeros up to `block`.
    fn seek_to(&mut self, block: u32) -> Result<(), WriteError> {
        let target = u64::from(block) * BLOCK_BYTES;
        while self.position < target {
            self.pad()?;
            if self.position < target {
                self.write(&[0; BLOCK])?;
            }
        }
        if self.position == target {
            return Ok(());
        }
        Err(self.fail(io::Error::other("the layout and the bytes disagree")))
    }

    /// The contents of a file from `skip` on, checked to have the length they were laid out
    /// with.
    fn copy(&mut self, source: &Source, path: &str, skip: u64) -> Result<(), WriteError> {
        let expected = source.len;
        let found = match &source.kind {
            SourceKind::Bytes(bytes) => {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                self.write(bytes.get(skip..).unwrap_or_default())?;
                return Ok(());
            }
            SourceKind::Path(file) => {
                let fail = |source| WriteError::Source { path: path.to_owned(), source };
                let mut file = File::open(file).map_err(fail)?;
                if skip > 0 {
                    io::Seek::seek(&mut file, io::SeekFrom::Start(skip)).map_err(fail)?;
                }
                self.copy_file(file, path, expected - skip)? + skip
            }
            SourceKind::Opener(_) => {
                let fail = |source| WriteError::Source { path: path.to_owned(), source };
                let mut reader = source.open().map_err(fail)?;
                let passed = io::copy(&mut reader.by_ref().take(skip), &mut io::sink());
                let skipped = passed.map_err(fail)?;
                self.copy_reader(&mut *reader, path, expected - skip)? + skipped
            }
        };
        if found == expected {
            return Ok(());
        }
        Err(WriteError::SourceLength { path: path.to_owned(), expected, found })
    }

    /// Copies up to `len` bytes and answers how many there were, one more if there were too
    /// many.
    fn copy_reader(
        &mut self,
        reader: &mut dyn Read,
        path: &str,
        len: u64,
    ) -> Result<u64, WriteError> {
        let fail = |source| WriteError::Source { path: path.to_owned(), source };
        let size = usize::try_from(len).unwrap_or(BUFFER).clamp(1, BUFFER);
        let mut buffer = vec![0; size];
        let mut done = 0;
        while done < len {
            let want = usize::try_from(len - done).unwrap_or(size).min(size);
            let Some(part) = buffer.get_mut(..want) else { break };
            let got = fill(reader, part).map_err(fail)?;
            self.write(part.get(..got).unwrap_or_default())?;
            done += got as u64;
            if got < want {
                return Ok(done);
            }
        }
        let surplus = fill(reader, &mut [0]).map_err(fail)?;
        Ok(done + surplus as u64)
    }

    fn copy_file(&mut self, mut file: File, path: &str, len: u64) -> Result<u64, WriteError> {
        if len <= SMALL {
            return self.copy_reader(&mut file, path, len);
        }
        // `io::copy` lets the kernel move the bytes if the output is a file.
        let mut limited = BufReader::with_capacity(BUFFER, (&file).take(len));
        let copied = io::copy(&mut limited, &mut self.inner).map_err(|source| {
            WriteError::Copy { path: path.to_owned(), offset: self.position, source }
        })?;
        self.position += copied;
        if copied < len {
            return Ok(copied);
        }
        let surplus = fill(&mut file, &mut [0]);
        let surplus =
            surplus.map_err(|source| WriteError::Source { path: path.to_owned(), source })?;
        Ok(copied + surplus as u64)
    }
}
