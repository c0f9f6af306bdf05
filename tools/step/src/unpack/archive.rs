// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads tar archives: the headers of POSIX pax and GNU tar as entries with everything that is said of them.
//!
//! The crate `tar` decodes the fields of a header. Its reader of archives splits pax records at line feeds, so
//! it loses ACLs and binary attributes, and every record behind them, the size included.

use std::io::{self, Read};

use anyhow::{Context as _, Result, bail, ensure};
use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

/// A block of an archive.
pub(super) const BLOCK: u64 = 512;
/// The largest extension header: attributes have at most 64 KiB each, paths 4 KiB.
const LARGEST_EXTENSION: u64 = 4 << 20;
/// The most pieces of a sparse file.
pub(super) const MOST_PIECES: usize = 1 << 20;

/// Offset and length of a piece of a sparse file.
pub(super) type Piece = (u64, u64);

/// An archive that is read from its start to its end.
pub(super) struct Archive<R> {
    input: R,
    /// Bytes of the current entry that were not read yet.
    left: u64,
    /// What fills its last block up.
    padding: u64,
}

/// An entry and all that its headers say.
pub(super) struct Entry {
    pub(super) header: Header,
    pub(super) path: Vec<u8>,
    pub(super) link: Option<Vec<u8>>,
    /// Bytes of data in the archive.
    pub(super) size: u64,
    /// The records of its pax header, those above included.
    pub(super) records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its pieces and its size with holes, where it is a sparse file of GNU tar's own format.
    pub(super) sparse: Option<(Vec<Piece>, u64)>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry, whose data is then read from the archive; None at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let (mut name, mut link, mut records) = (None, None, None);
        loop {
            let rest = self.left + self.padding;
            let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
            ensure!(skipped == rest, "the layer ends in the middle of an entry");
            let Some(header) = self.header()? else {
                ensure!(
                    name.is_none() && link.is_none() && records.is_none(),
                    "the layer ends behind an extension header"
                );
                return Ok(None);
            };
            self.start(header.entry_size()?)?;
            match header.entry_type() {
                EntryType::GNULongName => once(&mut name, self.text()?)?,
                EntryType::GNULongLink => once(&mut link, self.text()?)?,
                EntryType::XHeader => {
                    let data = self.extension()?;
                    once(&mut records, parse_records(&data)?)?;
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
        // The last record of a key counts (POSIX, pax, "Extended Header").
        let find = |key: &[u8]| {
            records.iter().rev().find(|(found, _)| found == key).map(|(_, value)| value.clone())
        };
        let path = find(b"path").or(name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            find(b"linkpath").or(link).or_else(|| Some(header.link_name_bytes()?.into_owned()));
        if let Some(size) = find(b"size") {
            self.start(number(&size)?)?;
        }
        // POSIX lets a hard link have data, and no reader in use reads it.
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

    /// The next header; None at the end, which is a block of zeros or that of the stream.
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

    /// Reads a whole block; false where the stream ends before it.
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

    /// The data of an extension header.
    fn extension(&mut self) -> Result<Vec<u8>> {
        let size = self.left;
        ensure!(size <= LARGEST_EXTENSION, "an extension header has {size} bytes");
        let mut data = Vec::new();
        self.read_to_end(&mut data).context("cannot read the layer")?;
        ensure!(data.len() as u64 == size, "the layer ends in the middle of a header");
        Ok(data)
    }

    /// The same, up to a NUL.
    fn text(&mut self) -> Result<Vec<u8>> {
        let mut data = self.extension()?;
        if let Some(end) = data.iter().position(|byte| *byte == 0) {
            data.truncate(end);
        }
        Ok(data)
    }

    /// The map of a sparse file, in its header and in blocks behind it.
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

fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    ensure!(slot.replace(value).is_none(), "an entry has two extension headers of one kind");
    Ok(())
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`, where the length is that of the whole record. A value
/// can hold any byte.
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

/// A global header holds for all entries behind it. Comments, as `git archive` writes them, change nothing; the
/// rest differs from reader to reader, and no image tool writes it.
fn check_global(records: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    match records.iter().find(|(key, _)| key != b"comment") {
        None => Ok(()),
        Some((key, _)) => bail!(
            "the layer has a global header with {:?}: build it without",
            String::from_utf8_lossy(key)
        ),
    }
}

/// A decimal number.
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
