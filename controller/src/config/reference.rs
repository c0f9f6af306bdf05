// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the reference of `controller.toml` with the keys that the reader accepts, and with the
//! defaults in the example, which are those of [`Config`](super::Config).

use std::collections::BTreeSet;

use test_support::reference::{compare, tables};

use super::parse;

const PAGE: &str = include_str!("../../../docs/reference/controller-toml.md");
const EXAMPLE: &str = include_str!("../../packaging/controller.example.toml");

/// Keys of the table with this header, from the fault of an unknown key; none if it is no table.
fn keys(header: &str) -> Option<Vec<String>> {
    let (_, faults) = parse("c.toml", &format!("{header}\nzzz = 1\n"));
    let expected =
        faults.iter().find_map(|it| it.message.split_once("zzz is unknown, expected "))?;
    Some(expected.1.split(", ").map(str::to_owned).collect())
}

/// Adds the accepted keys of a table and of those in it, each as `HEADER KEY`.
fn walk(header: &str, path: &str, accepted: &mut BTreeSet<String>) {
    for key in keys(header).unwrap() {
        let path = format!("{path}{key}");
        let headers = [format!("[{path}]"), format!("[[{path}]]")];
        match headers.into_iter().find(|header| keys(header).is_some()) {
            Some(table) => walk(&table, &format!("{path}."), accepted),
            None => assert!(accepted.insert(format!("{header} {key}"))),
        }
    }
}

#[test]
fn the_reference_has_each_key_and_no_other() {
    let mut accepted = BTreeSet::new();
    walk("", "", &mut accepted);
    assert!(accepted.len() > 60, "{accepted:?}");
    compare("controller.toml", PAGE, &accepted);
}

#[test]
fn the_reference_has_the_defaults() {
    let example: toml::Table = toml::from_str(EXAMPLE).unwrap();
    let mut compared = 0;
    for (table, keys) in tables(PAGE) {
        let mut path = table.trim_matches(['[', ']']).split('.');
        let Some(values) = path.try_fold(&example, |at, name| at.get(name)?.as_table()) else {
            continue;
        };
        for (key, default) in keys {
            let value = match values.get(&key) {
                Some(toml::Value::String(text)) => text.clone(),
                Some(toml::Value::Integer(number)) => number.to_string(),
                Some(toml::Value::Array(values)) if values.is_empty() => "[]".to_owned(),
                Some(other) => panic!("{table} {key}: {other:?}"),
                None => continue,
            };
            assert_eq!(default, value, "the reference of controller.toml: {table} {key}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}
