// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads TOML and collects all faults, each with its location and the expected form.
//!
//! serde stops at the first fault; users want all of them at once.

use std::cell::RefCell;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A fault in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Fault {
    /// `FILE:LINE:COLUMN`, or another source of the value.
    pub place: String,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// The configuration text and its collected faults.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    pub(super) faults: RefCell<Vec<Fault>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, faults: RefCell::default() }
    }

    /// Adds a fault at a byte offset.
    pub(super) fn fault(&self, at: usize, message: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let place = format!("{}:{line}:{column}", self.name);
        self.faults.borrow_mut().push(Fault { place, message: message.into() });
    }
}

/// A table being read. Keys that were not read by the end are unknown.
pub(super) struct Section<'t> {
    source: &'t Source<'t>,
    path: String,
    table: Option<&'t DeTable<'t>>,
    start: usize,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn root(source: &'t Source<'t>, table: &'t DeTable<'t>) -> Self {
        Self { source, path: String::new(), table: Some(table), start: 0, known: Vec::new() }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table?.get(key)
    }

    fn report_wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("{text:?}"),
            other => other.type_str().to_owned(),
        };
        let message = format!("{}{key} is {found}, expected {expected}", self.path);
        self.source.fault(value.span().start, message);
    }

    /// Returns whether the file contains this table.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Returns a table in this one; empty if it is missing.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'t> {
        let value = self.value(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            self.report_wrong(key, value, "a table");
        }
        let start = value.map_or(self.start, |value| value.span().start);
        self.inner(key, table, start)
    }

    fn inner(&self, name: &str, table: Option<&'t DeTable<'t>>, start: usize) -> Self {
        let path = format!("{}{name}.", self.path);
        Self { source: self.source, path, table, start, known: Vec::new() }
    }

    /// Returns an array of tables; empty if it is missing.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.report_wrong(key, value, "tables written as [[…]]");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (number, item) in items.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let start = item.span().start;
                    sections.push(self.inner(&format!("{key}[{number}]"), Some(table), start));
                }
                None => self.report_wrong(key, item, "tables written as [[…]]"),
            }
        }
        sections
    }

    /// Reads a string with the parser `read`.
    pub(super) fn parse_with<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(key, expected, |value| value.as_str().and_then(read))
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let parsed = read(value.get_ref());
        if parsed.is_none() {
            self.report_wrong(key, value, expected);
        }
        parsed
    }

    /// Reads a string that parses as `T`.
    pub(super) fn parse<T: FromStr>(&mut self, key: &'static str, expected: &str) -> Option<T> {
        self.parse_with(key, expected, |text| text.parse().ok())
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let expected = "a duration such as \"30s\" or \"7d\"";
        self.parse_with(key, expected, |text| humantime::parse_duration(text).ok())
    }

    /// One of two words.
    pub(super) fn choice<T>(&mut self, key: &'static str, words: [(&str, T); 2]) -> Option<T> {
        let expected = format!("{:?} or {:?}", words[0].0, words[1].0);
        let find = |text: &str| words.into_iter().find(|(word, _)| *word == text);
        self.parse_with(key, &expected, find).map(|(_, value)| value)
    }

    /// Reads an integer of at least 1.
    pub(super) fn count(&mut self, key: &'static str) -> Option<usize> {
        self.read(key, "an integer of at least 1", |value| {
            let number = value.as_integer()?;
            let count = usize::from_str_radix(number.as_str(), number.radix()).ok();
            count.filter(|count| *count > 0)
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", DeValue::as_bool)
    }

    /// Reads a list of strings with the parser `read`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.report_wrong(key, value, &format!("a list of {expected}"));
            return None;
        };
        let mut list = Vec::new();
        for item in items {
            match item.get_ref().as_str().and_then(&read) {
                Some(item) => list.push(item),
                None => self.report_wrong(key, item, expected),
            }
        }
        Some(list)
    }

    /// Reports a missing key. An invalid value was reported already.
    pub(super) fn require(&self, key: &'static str, expected: &str) {
        if self.table.is_none_or(|table| !table.contains_key(key)) {
            self.source
                .fault(self.start, format!("{}{key} is missing, expected {expected}", self.path));
        }
    }

    /// Reports unknown keys.
    pub(super) fn end(self) {
        for (key, _) in self.table.into_iter().flatten() {
            if !self.known.contains(&key.get_ref().as_ref()) {
                let known = self.known.join(", ");
                let message =
                    format!("{}{} is unknown, expected {known}", self.path, key.get_ref());
                self.source.fault(key.span().start, message);
            }
        }
    }
}
