// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses control data: stanzas of `Field: value` (Debian policy 5.1).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

/// A stanza: values by field name; continuation lines are joined with newlines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stanza(BTreeMap<String, String>);

impl Stanza {
    /// The value of `field`, if present.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// The value of `field`.
    ///
    /// # Errors
    /// When it is missing; the message names the stanza's package.
    pub fn require(&self, field: &str) -> Result<&str> {
        self.get(field).with_context(|| {
            format!("package {:?} has no field {field}", self.get("Package").unwrap_or_default())
        })
    }
}

/// Parses all stanzas of `text`.
///
/// # Errors
/// On a line that is neither a field nor a continuation, with its number.
pub fn parse(text: &str) -> Result<Vec<Stanza>> {
    let mut stanzas = Vec::new();
    let mut fields = BTreeMap::new();
    let mut last = None;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                stanzas.push(Stanza(std::mem::take(&mut fields)));
            }
            last = None;
        } else if line.starts_with([' ', '\t']) {
            let value: &mut String = last
                .as_ref()
                .and_then(|name| fields.get_mut(name))
                .with_context(|| format!("line {}: continuation without a field", number + 1))?;
            value.push('\n');
            value.push_str(line.trim());
        } else {
            let Some((name, value)) = line.split_once(':') else {
                bail!("line {}: expected `Field: value`, found {line:?}", number + 1);
            };
            fields.insert(name.to_owned(), value.trim().to_owned());
            last = Some(name.to_owned());
        }
    }
    if !fields.is_empty() {
        stanzas.push(Stanza(fields));
    }
    Ok(stanzas)
}

/// Package names in a relationship field, a list of alternatives for each entry, without versions,
/// architectures and build profiles (Debian policy 7.1).
pub fn relations(field: &str) -> Vec<Vec<String>> {
    let name = |text: &str| {
        let end = text.find([' ', '(', '[', '<', ':']).unwrap_or(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    };
    field
        .split(',')
        .map(|entry| {
            entry.split('|').map(|one| name(one.trim())).filter(|n| !n.is_empty()).collect()
        })
        .filter(|alternatives: &Vec<String>| !alternatives.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_read_with_their_continuations() {
        let text = "Package: a\nDescription: one\n two\n .\n\n\nPackage: b\nVersion: 1:2-3\n";
        let stanzas = parse(text).unwrap();
        assert_eq!(stanzas.len(), 2);
        assert_eq!(stanzas[0].get("Description"), Some("one\ntwo\n."));
        assert_eq!(stanzas[1].require("Version").unwrap(), "1:2-3");
        let error = stanzas[1].require("Architecture").unwrap_err().to_string();
        assert_eq!(error, "package \"b\" has no field Architecture");
    }

    #[test]
    fn a_line_without_a_colon_and_a_continuation_of_nothing_are_named() {
        for bad in ["Package: a\nnonsense\n", "Package: a\n\n more\n"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("line "), "{error}");
        }
    }

    #[test]
    fn relations_keep_names_and_alternatives() {
        let field = "libc6 (>= 2.38), perl:any | perl-base, x [amd64] <!nocheck>,";
        assert_eq!(relations(field), [vec!["libc6"], vec!["perl", "perl-base"], vec!["x"]]);
        assert!(relations("").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s)([A-c :\t]{0,5}\n){0,6}") {
            drop(parse(&text));
            drop(relations(&text));
        }
    }
}
