// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Journal of a run: one JSON document per line, synced to disk before the next event.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::atomic;
use serde::{Deserialize, Serialize};

/// A journal record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// A run was started or resumed.
    Opened,
    /// A step started.
    Started {
        /// Step name.
        step: String,
    },
    /// A step ended.
    Ended {
        /// Step name.
        step: String,
        /// Whether its dependents may run.
        good: bool,
        /// Fact for the table.
        fact: String,
        /// Stamp of the step's outputs; see [`foundation::tree::stamp`].
        wrote: String,
        /// Duration.
        milliseconds: u64,
    },
    /// Every step succeeded: the next run starts from scratch.
    Closed,
}

/// The journal of one run, open for appending.
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens `path` and returns the records of an unfinished run, with `closed` also those of a
    /// successful one; otherwise truncates the journal.
    ///
    /// A line without its end (power failure) is truncated, and so is everything from the first
    /// invalid record on.
    pub(super) fn open(path: &Path, closed: bool) -> Result<(Self, Vec<Record>)> {
        let context = || format!("cannot open the journal {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(context)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(context)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(context)?;
        let (mut records, mut whole) = parse(&bytes);
        if !closed && records.last() == Some(&Record::Closed) {
            (records, whole) = (Vec::new(), 0);
        }
        file.set_len(whole).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        if let Some(folder) = path.parent() {
            atomic::sync_folder(folder)?;
        }
        let mut journal = Self { file };
        journal.add(&Record::Opened)?;
        Ok((journal, records))
    }

    /// Appends a record and syncs it to disk.
    pub(super) fn add(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // A single write: a kill leaves the whole line or nothing; a power failure may cut it.
        self.file.write_all(&line).context("cannot write the journal")?;
        self.file.sync_data().context("cannot write the journal")
    }
}

/// The valid records at the start of `bytes`, and their length.
fn parse(bytes: &[u8]) -> (Vec<Record>, u64) {
    let mut records = Vec::new();
    let mut whole = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(record) if line.ends_with(b"\n") => records.push(record),
            _ => break,
        }
        whole += line.len() as u64;
    }
    (records, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_record(step: &str) -> Record {
        Record::Ended {
            step: step.into(),
            good: true,
            fact: "3 files".into(),
            wrote: "0".into(),
            milliseconds: 7,
        }
    }

    #[test]
    fn gives_back_the_records_of_a_killed_run_and_those_of_a_good_one_where_they_are_wanted() {
        let opened = "{\"record\":\"opened\"}\n";
        let end = end_record("fmt");
        for (case, closed, ending, expected) in [
            ("a kill", false, None, vec![Record::Opened, end.clone()]),
            ("a good end", false, Some(Record::Closed), vec![]),
            (
                "a good end that counts",
                true,
                Some(Record::Closed),
                vec![Record::Opened, end.clone(), Record::Closed],
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal/run.jsonl");
            let (mut journal, before) = Journal::open(&path, closed).unwrap();
            assert_eq!(before, [], "{case}");
            [Some(end.clone()), ending].iter().flatten().for_each(|it| journal.add(it).unwrap());
            drop(journal);
            let (_, before) = Journal::open(&path, closed).unwrap();
            assert_eq!(before, expected, "{case}");
            let anew = fs::read_to_string(&path).unwrap() == opened;
            assert_eq!(anew, expected.is_empty(), "{case}");
        }
    }

    #[test]
    fn a_cut_at_any_byte_loses_the_cut_record_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let (mut journal, _) = Journal::open(&path, false).unwrap();
        journal.add(&end_record("fmt")).unwrap();
        let first = fs::read(&path).unwrap();
        journal.add(&end_record("lint")).unwrap();
        let all = fs::read(&path).unwrap();
        for length in first.len()..all.len() {
            fs::write(&path, &all[..length]).unwrap();
            let (mut journal, before) = Journal::open(&path, false).unwrap();
            assert_eq!(before, [Record::Opened, end_record("fmt")], "cut at {length}");
            journal.add(&end_record("test")).unwrap();
            let (_, before) = Journal::open(&path, false).unwrap();
            assert_eq!(
                before,
                [Record::Opened, end_record("fmt"), Record::Opened, end_record("test")]
            );
        }
    }
}
