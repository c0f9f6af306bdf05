// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Commits as `git log` prints them.

/// The format for `git log -z --format=…` that [`parse_log`] reads: id, parents, author's name and address,
/// message; fields end with the unit separator (0x1F), commits with NUL.
pub const LOG_FORMAT: &str = "%H%x1f%P%x1f%aN%x1f%aE%x1f%B";

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full id.
    pub id: String,
    /// How many parents it has; more than one is a merge.
    pub parents: usize,
    /// The author's name, after `.mailmap`.
    pub author: String,
    /// The author's address, after `.mailmap`.
    pub address: String,
    /// Subject and body.
    pub message: String,
}

impl Commit {
    /// The first line that is not empty, without spaces around it.
    pub fn subject(&self) -> &str {
        self.text_lines().next().unwrap_or_default()
    }

    /// The first line of the body, like [`Commit::subject`].
    pub(crate) fn body_start(&self) -> &str {
        self.text_lines().nth(1).unwrap_or_default()
    }

    fn text_lines(&self) -> impl Iterator<Item = &str> {
        self.message.lines().map(str::trim).filter(|line| !line.is_empty())
    }
}

/// The output of `git log` is not of the format [`LOG_FORMAT`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("commit {index} of git log lacks a field")]
pub struct LogError {
    /// Which commit of the output, from 0.
    pub index: usize,
}

/// Reads the output of `git log -z --format=FORMAT` with [`LOG_FORMAT`], newest first as Git prints it.
///
/// # Errors
/// When a commit lacks a field.
pub fn parse_log(output: &str) -> Result<Vec<Commit>, LogError> {
    let records = output.split('\0').filter(|record| !record.trim().is_empty());
    records
        .enumerate()
        .map(|(index, record)| {
            let mut fields = record.splitn(5, '\u{1f}');
            let mut field = || fields.next().ok_or(LogError { index });
            let (id, parents) = (field()?.trim().to_owned(), field()?);
            let parents = parents.split_whitespace().count();
            let (author, address) = (field()?.to_owned(), field()?.to_owned());
            Ok(Commit { id, parents, author, address, message: field()?.to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_and_a_short_record_is_named() {
        let log = "aa\u{1f}bb cc\u{1f}A B\u{1f}a@b.example\u{1f}\n feat: x\u{1f}y\n\nbody\n\0";
        let commits = parse_log(log).unwrap();
        assert_eq!(commits.len(), 1);
        assert_eq!((commits[0].parents, commits[0].subject()), (2, "feat: x\u{1f}y"));
        assert_eq!(parse_log("aa\u{1f}\u{1f}a"), Err(LogError { index: 0 }));
        assert_eq!(parse_log(""), Ok(Vec::new()));
    }
}
