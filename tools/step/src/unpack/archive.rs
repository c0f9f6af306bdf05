// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads tar archives: headers of POSIX pax and GNU tar.
//!
//! The crate `tar` decodes the header fields. Its archive reader splits pax records at line feeds,
//! so it loses ACLs and binary attributes, and all records after them, including the size.

use std::io::{self, Read};

use anyhow::{Context as _, Result, bail, ensure};
use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

/// Size of a block in bytes.
pub(super) const BLOCK: u64 = 512;
/// Maximum size of an extension header in bytes: attributes have at most 64 KiB each, paths 4 KiB.
const LARGEST_EXTENSION: u64 = 4 << 20;
/// Maximum number of data regions in a sparse file.
pub(super) const MOST_PIECES: usize = 1 << 20;

/// Offset and length of a data region of a sparse file.
pub(super) type Piece = (u64, u64);

/// A streamed archive.
pub(super) struct Archive<R> {
    input: R,
    /// Unread bytes of the current entry.
    left: u64,
    /// Padding of its last block, in bytes.
    padding: u64,
}

/// An entry with all its headers.
pub(super) struct Entry {
    pub(super) header: Header,
    pub(super) path: Vec<u8>,
    pub(super) link: Option<Vec<u8>>,
    /// Size of its data in the archive, in bytes.
    pub(super) size: u64,
    /// Records of its pax header, including those in other fields.
    pub(super) records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Data regions and total size of a sparse file in GNU tar's old format.
    pub(super) sparse: Option<(Vec<Piece>, u64)>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// Reads the next entry, whose data can then be read; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let (mut name, mut link, mut records) = (None, None, None);
        loop {
            let rest = self.left + self.padding;
            let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
            ensure!(skipped == rest, "the layer ends in the middle of an entry");
            let Some(header) = self.header()? else {
                ensure!(
                    name.is_none() && link.is_none() && records.is_none(),
                    "the layer ends after an extension header"
                );
                return Ok(None);
            };
            self.start(header.entry_size()?)?;
            match header.entry_type() {
                EntryType::GNULongName => set_once(&mut name, self.text()?)?,
                EntryType::GNULongLink => set_once(&mut link, self.text()?)?,
                EntryType::XHeader => {
                    let data = self.extension()?;
                    set_once(&mut records, parse_records(&data)?)?;
                }
                EntryType::XGlobalHeader => check_global(&parse_records(&self.extension()?)?)?,
                _ => {
                    let entry = self.entry(header, name, link, records.unwrap_or_default())?;
                    return Ok(Some(entry));
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: Header,
        name: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
        records: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Entry> {
        // The last record of a key takes effect (POSIX, pax, "Extended Header").
        let find = |key: &[u8]| {
            records.iter().rev().find(|(found, _)| found == key).map(|(_, value)| value.clone())
        };
        let path = find(b"path").or(name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            find(b"linkpath").or(link).or_else(|| Some(header.link_name_bytes()?.into_owned()));
        if let Some(size) = find(b"size") {
            self.start(number(&size)?)?;
        }
        // POSIX allows data for hard links, but common readers ignore it.
        let size = self.left;
        let sparse = if header.entry_type() == EntryType::GNUSparse {
            Some(self.gnu_sparse(&header)?)
        } else {
            None
        };
        Ok(Entry { header, path, link, size, records, sparse })
    }

    fn start(&mut self, size: u64) -> Result<()> {
        let whole = size.checked_next_multiple_of(BLOCK).context("an entry is too large")?;
        (self.left, self.padding) = (size, whole - size);
        Ok(())
    }

    /// Reads the next header; `None` at a block of zeros or the end of the stream.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = header.as_bytes().iter().enumerate().fold(0, |sum, (i, byte)| {
            sum + if (148..156).contains(&i) { u32::from(b' ') } else { u32::from(*byte) }
        });
        let expected = header.cksum().context("not a whole tar archive")?;
        ensure!(sum == expected, "not a whole tar archive: the checksum of a header is wrong");
        Ok(Some(header))
    }

    /// Reads a block; false at the end of the stream.
    fn block(&mut self, block: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => bail!("not a whole tar archive: it ends in the middle of a block"),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read the layer"),
            }
        }
        Ok(true)
    }

    /// Reads the data of an extension header.
    fn extension(&mut self) -> Result<Vec<u8>> {
        let size = self.left;
        ensure!(size <= LARGEST_EXTENSION, "an extension header has {size} bytes");
        let mut data = Vec::new();
        self.read_to_end(&mut data).context("cannot read the layer")?;
        ensure!(data.len() as u64 == size, "the layer ends in the middle of a header");
        Ok(data)
    }

    /// Reads the data of an extension header up to a NUL.
    fn text(&mut self) -> Result<Vec<u8>> {
        let mut data = self.extension()?;
        if let Some(end) = data.iter().position(|byte| *byte == 0) {
            data.truncate(end);
        }
        Ok(data)
    }

    /// Reads the sparse map from the header and the blocks that follow it.
    fn gnu_sparse(&mut self, header: &Header) -> Result<(Vec<Piece>, u64)> {
        let gnu = header.as_gnu().context("a sparse file without a header of GNU tar")?;
        let mut pieces = Vec::new();
        let mut take = |list: &[GnuSparseHeader]| -> Result<()> {
            for piece in list.iter().filter(|piece| !piece.is_empty()) {
                ensure!(pieces.len() < MOST_PIECES, "the sparse file has too many pieces");
                pieces.push((piece.offset()?, piece.length()?));
            }
            Ok(())
        };
        take(&gnu.sparse)?;
        let mut is_extended = gnu.is_extended();
        while is_extended {
            let mut more = GnuExtSparseHeader::new();
            ensure!(self.block(more.as_mut_bytes())?, "the map of the sparse file ends early");
            take(&more.sparse)?;
            is_extended = more.is_extended();
        }
        Ok((pieces, gnu.real_size()?))
    }
}

/// Reads the data of the current entry.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (&mut self.input).take(self.left).read(buffer)?;
        self.left -= n as u64;
        Ok(n)
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    ensure!(slot.replace(value).is_none(), "an entry has two extension headers of one kind");
    Ok(())
}

/// Parses the records of a pax header: `LENGTH KEY=VALUE\n`, where the length includes the whole
/// record. Values are arbitrary bytes.
fn parse_records(mut data: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let malformed = || "a pax header is malformed";
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ').with_context(malformed)?;
        let (digits, _) = data.split_at(space);
        let length = usize::try_from(number(digits)?)?;
        let (record, rest) = data.split_at_checked(length).with_context(malformed)?;
        let record = record.get(space + 1..).and_then(|it| it.strip_suffix(b"\n"));
        let record = record.with_context(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=').with_context(malformed)?;
        let (key, value) = record.split_at(equals);
        records.push((key.to_vec(), value.get(1..).unwrap_or_default().to_vec()));
        data = rest;
    }
    Ok(records)
}

/// Rejects global headers, which apply to all later entries: readers differ, and no image tool
/// writes them. Comments, as `git archive` writes them, are allowed.
fn check_global(records: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    match records.iter().find(|(key, _)| key != b"comment") {
        None => Ok(()),
        Some((key, _)) => bail!(
            "the layer has a global header with {:?}: build it without",
            String::from_utf8_lossy(key)
        ),
    }
}

/// Parses a decimal number.
pub(super) fn number(text: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(text).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).context("a number of a pax header is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_any_byte() {
        let records = parse_records(b"11 a=b\nc\0d\n6 e=f\n").unwrap();
        assert_eq!(records, [(b"a".to_vec(), b"b\nc\0d".to_vec()), (b"e".to_vec(), b"f".to_vec())]);
        for bad in [
            &b"5 a=b\n"[..],
            b"7 a=b\n",
            b"6 a_b\n",
            b"x a=b\n",
            b"6",
            b"3 \n",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(parse_records(bad).is_err(), "{bad:?}");
        }
    }
}
