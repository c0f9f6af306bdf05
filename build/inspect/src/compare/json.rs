// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares JSON documents.

use super::{Difference, What};

/// Maximum length of a shown value in characters.
const VALUE: usize = 80;

/// The first differing value by JSON pointer, if both are JSON documents.
pub(super) fn document(first: &[u8], second: &[u8]) -> Option<Difference> {
    use serde_json::Value;

    fn search(first: &Value, second: &Value, pointer: &str) -> Option<Difference> {
        if first == second {
            return None;
        }
        let child = |key: &str, a: Option<&Value>, b: Option<&Value>| {
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            search(a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null), &pointer)
        };
        let inner = match (first, second) {
            (Value::Object(a), Value::Object(b)) => {
                let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
                keys.into_iter().find_map(|key| child(key, a.get(key), b.get(key)))
            }
            (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len()))
                .find_map(|at| child(&at.to_string(), a.get(at), b.get(at))),
            _ => None,
        };
        inner.or_else(|| {
            let text = |value: &Value| value.to_string().chars().take(VALUE).collect::<String>();
            let what = What::Value { first: text(first), second: text(second) };
            Some(Difference { place: vec![pointer.to_owned()], what })
        })
    }

    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let (first, second) = (parse(first)?, parse(second)?);
    // A plain number is not treated as a document.
    (first.is_object() || first.is_array()).then(|| search(&first, &second, "")).flatten()
}
