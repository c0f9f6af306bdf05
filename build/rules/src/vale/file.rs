// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The YAML of a rule's file: keys with a scalar, a list of scalars or a map of scalars, one per line.
//!
//! Any other YAML is an error with its line. A YAML parser would be five more crates for three files.

use anyhow::{Context as _, Result, bail, ensure};

/// Value of a key of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    /// In the order of the file, which decides between patterns that match the same text.
    Map(Vec<(String, String)>),
}

/// The keys of a file, in their order.
pub(super) fn read(text: &str) -> Result<Vec<(String, Value)>> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        read_line(&mut keys, line.trim_end()).with_context(|| format!("line {}", index + 1))?;
    }
    Ok(keys)
}

fn read_line(keys: &mut Vec<(String, Value)>, line: &str) -> Result<()> {
    let inner = line.trim_start();
    if inner.is_empty() || inner.starts_with('#') {
        return Ok(());
    }
    if inner.len() == line.len() {
        let (key, value) = pair(line)?;
        ensure!(keys.iter().all(|it| it.0 != key), "the key {key} occurs twice");
        // What follows decides between a list and a map.
        let value = value.map_or_else(|| Value::List(Vec::new()), Value::Text);
        keys.push((key, value));
        return Ok(());
    }
    let value = &mut keys.last_mut().context("an entry has no key before it")?.1;
    if let Some(entry) = inner.strip_prefix("- ") {
        let Value::List(list) = value else { bail!("a list entry follows a value") };
        list.push(scalar(entry)?);
        return Ok(());
    }
    if matches!(value, Value::List(list) if list.is_empty()) {
        *value = Value::Map(Vec::new());
    }
    let Value::Map(map) = value else { bail!("a pair follows a value or a list entry") };
    let (key, value) = pair(inner)?;
    map.push((key, value.context("a pair has no value")?));
    Ok(())
}

/// `KEY: VALUE`, or `KEY:`.
fn pair(line: &str) -> Result<(String, Option<String>)> {
    // A quote in quotes is doubled, so the one before the colon ends the key.
    let end = match line.strip_prefix('\'') {
        Some(rest) => rest.find("':").map(|it| it + 2),
        None => line.find(": ").or_else(|| line.strip_suffix(':').map(str::len)),
    };
    let (key, value) =
        end.and_then(|end| line.split_at_checked(end)).context("expected `KEY: VALUE`")?;
    let value = value.strip_prefix(':').context("no colon follows the key")?.trim_start();
    Ok((scalar(key)?, (!value.is_empty()).then(|| scalar(value)).transpose()?))
}

/// A scalar without or with quotes (YAML 1.2.2, section 7.3).
fn scalar(text: &str) -> Result<String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let inner = rest.strip_suffix('\'').context("a quote is not closed")?;
        ensure!(inner.replace("''", "").find('\'').is_none(), "a quote is not doubled");
        return Ok(inner.replace("''", "'"));
    }
    if let Some(rest) = text.strip_prefix('"') {
        let inner = rest.strip_suffix('"').context("a quote is not closed")?;
        ensure!(!inner.contains(['\\', '"']), "escapes in double quotes are not read here");
        return Ok(inner.to_owned());
    }
    let special = |it: char| "[]{}&*!|>%@`".contains(it);
    ensure!(
        !text.starts_with(special) && !text.contains(" #") && !text.contains(": "),
        "write {text} in single quotes"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_lists_and_maps_are_read_in_their_order() {
        let text = "# x\na: \"it's '%s'\"\nb:\n  - one\n  # y\n  - 'it''s'\n\nc:\n  'x: y': z\n  plain one: a, b\nd:\n";
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            read(text).unwrap(),
            [
                ("a".to_owned(), Value::Text("it's '%s'".to_owned())),
                ("b".to_owned(), Value::List(vec!["one".to_owned(), "it's".to_owned()])),
                ("c".to_owned(), Value::Map(vec![pair("x: y", "z"), pair("plain one", "a, b")])),
                ("d".to_owned(), Value::List(Vec::new())),
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_line() {
        for bad in [
            "a\n",
            "a: b: c\n",
            "a: [b]\n",
            "a: b # c\n",
            "a: 'b\n",
            "a: \"\\n\"\n",
            "  - b\n",
            "a: b\n  - c\n",
            "a:\n  - b\n  c: d\n",
            "a:\n  c:\n",
            "a: b\na: c\n",
        ] {
            let error = format!("{:#}", read(bad).unwrap_err());
            assert!(error.starts_with("line "), "{bad:?}: {error}");
        }
    }
}
