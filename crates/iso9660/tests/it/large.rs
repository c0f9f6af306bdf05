// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files of more than 4 GiB, which need several extents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use iso9660::reader::Volume;
use iso9660::{Node, Source};

use crate::facts::{ROOT, image};

/// Four GiB and a remainder that is not a whole block.
pub(crate) const LEN: u64 = (4 << 30) + 12_345;
/// The last bytes of the file; all others are zero.
pub(crate) const END: &[u8; 16] = b"the end at last\n";

/// An image with the large file, and a small one after it.
pub(crate) fn large() -> iso9660::Image {
    let mut image = image(&[]);
    let source = Source::reader(LEN, || {
        let zeros = io::repeat(0).take(LEN - END.len() as u64);
        Ok(Box::new(zeros.chain(END.as_slice())))
    });
    image.root.insert("large", Node::File(ROOT, source)).unwrap();
    image.root.insert("small", Node::File(ROOT, Source::bytes(*b"small"))).unwrap();
    image
}

const ZEROS: &[u8] = &[0; 256 * 1024];

/// Writes holes for zeros, so that a large image uses little disk space.
pub(crate) struct Sparse(pub(crate) File);

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Comparing slices is fast even in debug builds.
        let bytes = &bytes[..bytes.len().min(ZEROS.len())];
        if bytes == &ZEROS[..bytes.len()] {
            self.0.seek(SeekFrom::Current(bytes.len().try_into().unwrap()))?;
            return Ok(bytes.len());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let end = self.0.stream_position()?;
        self.0.set_len(end)
    }
}

/// A file in memory that does not store zeros.
#[derive(Default)]
struct Memory {
    pieces: BTreeMap<u64, Vec<u8>>,
    position: u64,
    len: u64,
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(ZEROS.len())];
        if bytes != &ZEROS[..bytes.len()] {
            self.pieces.insert(self.position, bytes.to_vec());
        }
        self.position += bytes.len() as u64;
        self.len = self.len.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = self.position;
        let len = u64::min(buffer.len() as u64, self.len.saturating_sub(from));
        let buffer = &mut buffer[..len.try_into().unwrap()];
        buffer.fill(0);
        // No chunk is longer than the zeros it is compared with.
        let before = from.saturating_sub(ZEROS.len() as u64);
        for (&start, piece) in self.pieces.range(before..from + len) {
            for (at, &byte) in (start..).zip(piece) {
                if (from..from + len).contains(&at) {
                    buffer[usize::try_from(at - from).unwrap()] = byte;
                }
            }
        }
        self.position += len;
        Ok(buffer.len())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.len.checked_add_signed(by).unwrap(),
            SeekFrom::Current(by) => self.position.checked_add_signed(by).unwrap(),
        };
        Ok(self.position)
    }
}

#[test]
fn a_file_of_more_than_four_gibibytes_is_read_back() {
    let mut memory = Memory::default();
    let size = large().write_to(&mut memory).unwrap();
    assert_eq!(memory.len, size);
    let mut volume = Volume::open(memory).unwrap();
    let entry = volume.find("large").unwrap();
    assert_eq!(entry.size(), LEN);
    let mut reader = volume.open_file(&entry).unwrap();
    let mut zeros = BufReader::with_capacity(1 << 20, (&mut reader).take(LEN - 16));
    let zeros = io::copy(&mut zeros, &mut io::sink()).unwrap();
    assert_eq!(zeros, LEN - 16);
    let mut end = Vec::new();
    reader.read_to_end(&mut end).unwrap();
    assert_eq!(end, END);
    let small = volume.find("small").unwrap();
    assert_eq!(volume.read_file(&small, 10).unwrap(), b"small");
}

#[test]
fn others_see_a_file_of_more_than_four_gibibytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.iso");
    let size = large().write_to(Sparse(File::create(&path).unwrap())).unwrap();
    assert_eq!(path.metadata().unwrap().len(), size);
    let iso = path.to_str().unwrap();
    if let Some(xorriso) = test_support::find("xorriso") {
        let text = test_support::run(&xorriso, &["-indev", iso, "-find", "/", "-exec", "lsdl"]);
        assert!(text.contains(&format!("{LEN} Sep 13  2020 '/large'")), "{text}");
    }
    if let Some(seven_zip) = test_support::find("7z") {
        let text = test_support::run(&seven_zip, &["l", "-slt", iso]);
        assert!(text.contains(&format!("Path = large\nFolder = -\nSize = {LEN}\n")), "{text}");
    }
}
