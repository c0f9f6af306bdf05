// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Classifies changes of a JSON Schema (draft-07) by their effect on previously valid documents.
//!
//! A change is breaking unless it provably accepts everything that was accepted before. Keywords
//! are compared one by one; a changed pattern counts as breaking, because whether it accepts more
//! is undecided. A property test compares the class with a validator.

mod describe;

use serde_json::{Map, Value};

/// Class of a change, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Only annotations changed.
    None,
    /// Everything accepted before is still accepted.
    Compatible,
    /// Something accepted before may be rejected.
    Breaking,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// JSON pointer into the new schema, or into the old one for a removal.
    pub pointer: String,
    /// Class.
    pub class: Class,
    /// What changed, in words.
    pub what: String,
}

/// Keywords without effect on validation.
const ANNOTATIONS: &[&str] =
    &["$comment", "$id", "$schema", "default", "description", "examples", "title"];
/// Keywords that are stricter with a smaller number.
const UPPER: &[&str] = &["exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"];
/// Keywords that are stricter with a greater number.
const LOWER: &[&str] = &["exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"];

/// Suffix of a schema's file name, after `-` and the version.
pub const SUFFIX: &str = ".schema.json";

/// Parses `recipe-1.2.schema.json` as `(1, 2)`.
pub fn file_version(path: &str) -> Option<(u64, u64)> {
    let (_, version) = path.strip_suffix(SUFFIX)?.rsplit_once('-')?;
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// All changes from `old` to `new`, except of annotations.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", old, new, &mut changes);
    for change in &mut changes {
        let at = &change.pointer;
        change.what = describe::describe(at, old.pointer(at), new.pointer(at));
    }
    changes
}

/// The class of all changes together.
pub fn class(changes: &[Change]) -> Class {
    changes.iter().map(|change| change.class).max().unwrap_or(Class::None)
}

fn compare(at: &str, old: &Value, new: &Value, out: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        // `true` accepts everything, `false` nothing.
        let looser = old == &Value::Bool(false) || new == &Value::Bool(true);
        return push(out, at, looser);
    };
    let mut keywords: Vec<&String> = before.keys().chain(after.keys()).collect();
    keywords.sort_unstable();
    keywords.dedup();
    for keyword in keywords {
        let (old, new) = (before.get(keyword), after.get(keyword));
        if old == new || ANNOTATIONS.contains(&keyword.as_str()) {
            continue;
        }
        keyword_change(&format!("{at}/{}", escape(keyword)), keyword, before, after, out);
    }
}

/// Classifies a keyword that differs between the schemas.
fn keyword_change(
    at: &str,
    keyword: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Change>,
) {
    let (old, new) = (before.get(keyword), after.get(keyword));
    match (keyword, old, new) {
        ("properties", ..) => properties(at, before, after, out),
        ("additionalProperties", ..) => {
            // Absent means `true`.
            let all = Value::Bool(true);
            compare(at, old.unwrap_or(&all), new.unwrap_or(&all), out);
        }
        ("definitions", Some(old), Some(new)) => {
            for (name, old) in old.as_object().into_iter().flatten() {
                if let Some(new) = new.get(name) {
                    compare(&format!("{at}/{}", escape(name)), old, new, out);
                }
            }
        }
        // An added or removed definition matters only through a reference, which changed too.
        ("definitions", ..) => {}
        ("required", ..) => push(out, at, contains_all(old, new)),
        ("enum", Some(old), Some(new)) => push(out, at, contains_all(Some(new), Some(old))),
        ("type", Some(old), Some(new)) => push(out, at, types_widen(old, new)),
        ("allOf", Some(Value::Array(old)), Some(Value::Array(new))) if new.len() <= old.len() => {
            let pairs = old.iter().zip(new).enumerate();
            pairs.for_each(|(index, (old, new))| compare(&format!("{at}/{index}"), old, new, out));
            if new.len() < old.len() {
                push(out, at, true);
            }
        }
        ("anyOf", Some(Value::Array(old)), Some(Value::Array(new))) if new.starts_with(old) => {
            push(out, at, true);
        }
        ("items", Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) => {
            compare(at, old, new, out);
        }
        // `if` selects the documents that they apply to.
        ("then" | "else", Some(old), Some(new)) if before.get("if") == after.get("if") => {
            compare(at, old, new, out);
        }
        // Without `if`, `then` and `else` have no effect.
        (_, Some(_), None) => push(out, at, true),
        (_, Some(old), Some(new)) => {
            let number = |value: &Value| value.as_f64();
            let looser = match (number(old), number(new)) {
                (Some(old), Some(new)) if UPPER.contains(&keyword) => new >= old,
                (Some(old), Some(new)) if LOWER.contains(&keyword) => new <= old,
                _ => false,
            };
            push(out, at, looser);
        }
        (_, None, _) => push(out, at, false),
    }
}

fn properties(
    at: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Change>,
) {
    let none = Map::new();
    let declared = |schema: &Map<String, Value>| -> Map<String, Value> {
        schema.get("properties").and_then(Value::as_object).unwrap_or(&none).clone()
    };
    let closed = |schema: &Map<String, Value>| {
        schema.get("additionalProperties") == Some(&Value::Bool(false))
    };
    // The constraint on other properties, in the schema that does not name this one.
    let others = |schema: &Map<String, Value>| {
        schema.get("additionalProperties").cloned().unwrap_or(Value::Bool(true))
    };
    let (old, new) = (declared(before), declared(after));
    for (name, schema) in &old {
        let at = format!("{at}/{}", escape(name));
        match new.get(name) {
            Some(other) => compare(&at, schema, other, out),
            None => push(out, &at, others(after) == Value::Bool(true)),
        }
    }
    for (name, schema) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        let anything =
            *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty);
        push(out, &format!("{at}/{}", escape(name)), closed(before) || anything);
    }
}

fn push(out: &mut Vec<Change>, at: &str, looser: bool) {
    let class = if looser { Class::Compatible } else { Class::Breaking };
    out.push(Change { pointer: at.to_owned(), class, what: String::new() });
}

/// Whether `whole` contains every entry of `part`; an absent list is empty.
fn contains_all(whole: Option<&Value>, part: Option<&Value>) -> bool {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let whole = list(whole);
    list(part).iter().all(|entry| whole.contains(entry))
}

/// Whether `new` allows all types that `old` does; an integer is a number.
fn types_widen(old: &Value, new: &Value) -> bool {
    let list = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let new = list(new);
    list(old)
        .iter()
        .all(|kind| new.contains(kind) || (kind == "integer" && new.contains(&"number".into())))
}

/// Escapes a reference token of a JSON pointer (RFC 6901, section 3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The line (from 1) in `text` of the member at `pointer`: searches the pointer's keys in order.
/// Relies on our layout of one key per line; returns the last key found.
pub fn line(text: &str, pointer: &str) -> usize {
    let mut at = 0;
    for key in pointer.split('/').skip(1) {
        let quoted = format!("\"{}\":", key.replace("~1", "/").replace("~0", "~"));
        if let Some(found) = text.get(at..).and_then(|rest| rest.find(&quoted)) {
            at += found;
        }
    }
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn class_of(old: &Value, new: &Value) -> Class {
        class(&changes(old, new))
    }

    #[test]
    fn changes_are_classified() {
        let closed =
            |properties: Value| json!({"properties": properties, "additionalProperties": false});
        for (old, new, expected) in [
            (json!({"title": "a"}), json!({"title": "b", "$id": "x"}), Class::None),
            (json!({}), json!({"required": ["a"]}), Class::Breaking),
            (json!({"required": ["a"]}), json!({}), Class::Compatible),
            (json!({"maxLength": 5}), json!({"maxLength": 6}), Class::Compatible),
            (json!({"maxLength": 5}), json!({"maxLength": 4}), Class::Breaking),
            (json!({"minimum": 5}), json!({"minimum": 4}), Class::Compatible),
            (json!({"pattern": "a"}), json!({"pattern": "a|b"}), Class::Breaking),
            (json!({"pattern": "a"}), json!({}), Class::Compatible),
            (json!({"type": "integer"}), json!({"type": ["number", "null"]}), Class::Compatible),
            (json!({"type": "string"}), json!({"type": "null"}), Class::Breaking),
            (json!({"enum": [1]}), json!({"enum": [1, 2]}), Class::Compatible),
            (json!({"enum": [1, 2]}), json!({"enum": [1]}), Class::Breaking),
            (closed(json!({})), closed(json!({"a": {"type": "null"}})), Class::Compatible),
            (json!({}), json!({"properties": {"a": {"type": "null"}}}), Class::Breaking),
            (closed(json!({"a": {}})), closed(json!({})), Class::Breaking),
            (json!({"properties": {"a": {"type": "null"}}}), json!({}), Class::Compatible),
            (json!({"additionalProperties": false}), json!({}), Class::Compatible),
            (json!({"allOf": [{"required": ["a"]}]}), json!({"allOf": [{}]}), Class::Compatible),
            (
                json!({"anyOf": [{"type": "null"}]}),
                json!({"anyOf": [{"type": "null"}, {}]}),
                Class::Compatible,
            ),
            (json!({"oneOf": [{}]}), json!({"oneOf": [{}, {}]}), Class::Breaking),
            (
                json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}}),
                json!({"if": {"required": ["a"]}, "then": {}}),
                Class::Compatible,
            ),
            (
                json!({"if": {"required": ["a"]}, "then": false}),
                json!({"if": {}, "then": false}),
                Class::Breaking,
            ),
            (
                json!({"definitions": {"a": {"type": "null"}}}),
                json!({"definitions": {"a": {"type": "string"}}}),
                Class::Breaking,
            ),
            (json!({}), json!({"surprise": 1}), Class::Breaking),
        ] {
            assert_eq!(class_of(&old, &new), expected, "{old} to {new}");
        }
    }

    #[test]
    fn a_change_is_reported_by_its_place() {
        let old = json!({"properties": {"a/b": {"maxLength": 5}}});
        let new = json!({"properties": {"a/b": {"maxLength": 4}}});
        assert_eq!(changes(&old, &new)[0].pointer, "/properties/a~1b/maxLength");
        let text =
            "{\n  \"properties\": {\n    \"a/b\": {\n      \"maxLength\": 4\n    }\n  }\n}\n";
        assert_eq!(line(text, "/properties/a~1b/maxLength"), 4);
        assert_eq!((line(text, ""), line(text, "/nowhere")), (1, 1));
    }

    /// Schemas over few names and numbers, so that two of them have much in common.
    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({})),
            Just(json!(true)),
            Just(json!(false)),
            (0_u8..3).prop_map(|n| json!({"type": "string", "maxLength": n})),
            (0_u8..3).prop_map(|n| json!({"minLength": n})),
            (0_i8..3).prop_map(|n| json!({"type": "integer", "minimum": n})),
            Just(json!({"type": ["integer", "null"]})),
            prop::sample::subsequence(vec![json!(1), json!("a"), json!(null)], 1..3)
                .prop_map(|list| json!({"enum": list})),
        ];
        leaf.prop_recursive(3, 24, 3, |inner| {
            let names = || prop::sample::subsequence(vec!["a", "b"], 0..=2);
            prop_oneof![
                (names(), prop::collection::vec(inner.clone(), 2), names(), any::<bool>())
                    .prop_map(|(named, schemas, required, closed)| {
                        let properties: Map<_, _> =
                            named.iter().map(|it| (*it).to_owned()).zip(schemas).collect();
                        let mut schema = json!({"properties": properties, "required": required});
                        if closed {
                            schema["additionalProperties"] = json!(false);
                        }
                        schema
                    }),
                inner.clone().prop_map(|it| json!({"items": it})),
                inner.clone().prop_map(|it| json!({"not": it})),
                prop::collection::vec(inner.clone(), 1..3).prop_map(|it| json!({"allOf": it})),
                prop::collection::vec(inner.clone(), 1..3).prop_map(|it| json!({"anyOf": it})),
                (inner.clone(), inner.clone(), inner)
                    .prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
            ]
        })
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            (-1_i8..4).prop_map(|n| json!(n)),
            "[ab]{0,3}".prop_map(|text| json!(text)),
        ];
        leaf.prop_recursive(2, 8, 2, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(|it| json!(it)),
                prop::collection::hash_map("[abc]", inner, 0..3).prop_map(|it| json!(it)),
            ]
        })
    }

    proptest! {
        /// A change that is not breaking rejects no document that was accepted.
        #[test]
        fn what_is_compatible_accepts_all_that_was_accepted(
            old in schemas(),
            new in schemas(),
            documents in prop::collection::vec(documents(), 12),
        ) {
            if class_of(&old, &new) < Class::Breaking {
                for document in documents {
                    if jsonschema::is_valid(&old, &document) {
                        prop_assert!(jsonschema::is_valid(&new, &document), "{old} to {new}: {document}");
                    }
                }
            }
        }
    }
}
