// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares our validator with the `jsonschema` crate: both agree on every schema that ours accepts
//! and any instance.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::{collection, prelude::*, sample};
use recipe::{SchemaVersion, schema::Schema};
use serde_json::{Map, Value, json};

/// Member names shared by schemas and instances.
const NAMES: [&str; 4] = ["a", "b", "task_target", "/~"];
/// Patterns with equal meaning in ECMA 262 and `regex-lite`, and texts that some of them match.
const PATTERNS: [&str; 5] = ["^a", "b$", "^[0-9]+$", "^(?:a|bc)*$", r"^[^\u0000-\u001f]*$"];
const TEXTS: [&str; 10] = [
    "",
    "a",
    "abc",
    "42",
    "b\n",
    "ä€😀",
    "https://host/p?q#f",
    "not a uri",
    "http://[::1]:80/",
    "x:%zz",
];

fn name() -> impl Strategy<Value = String> {
    sample::select(&NAMES[..]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        sample::select(vec![0.0, 1.0, 1.5, -2.0, 3.25]).prop_map(Value::from),
        sample::select(vec![i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1]).prop_map(Value::from),
        sample::select(&TEXTS[..]).prop_map(Value::from),
    ]
}

fn instance() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn type_name() -> impl Strategy<Value = &'static str> {
    sample::select(vec!["null", "boolean", "object", "array", "number", "integer", "string"])
}

fn keyword(
    inner: impl Strategy<Value = Value> + Clone + 'static,
) -> impl Strategy<Value = (String, Value)> {
    let list = collection::vec(inner.clone(), 1..4).prop_map(Value::from);
    let named = collection::btree_map(name(), inner.clone(), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    let count = (0..5_u64).prop_map(Value::from);
    let bound = prop_oneof![(-3..4_i64).prop_map(Value::from), Just(json!(1.5))];
    prop_oneof![
        type_name().prop_map(|name| ("type".into(), json!(name))),
        collection::btree_set(type_name(), 1..4).prop_map(|names| ("type".into(), json!(names))),
        collection::vec(instance(), 1..4).prop_map(|values| ("enum".into(), Value::from(values))),
        instance().prop_map(|value| ("const".into(), value)),
        (sample::select(vec!["minimum", "maximum"]), bound).prop_map(|(k, v)| (k.into(), v)),
        (sample::select(vec!["minLength", "maxLength", "minItems", "maxItems"]), count)
            .prop_map(|(k, v)| (k.into(), v)),
        sample::select(&PATTERNS[..]).prop_map(|p| ("pattern".into(), json!(p))),
        Just(("format".to_owned(), json!("uri"))),
        collection::btree_set(name(), 0..3).prop_map(|names| ("required".into(), json!(names))),
        (sample::select(vec!["allOf", "anyOf", "oneOf"]), list).prop_map(|(k, v)| (k.into(), v)),
        named.prop_map(|v| ("properties".into(), v)),
        (sample::select(vec!["not", "items", "additionalProperties", "if", "then", "else"]), inner)
            .prop_map(|(k, v)| (k.into(), v)),
        Just(("description".to_owned(), json!("text"))),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        Just(json!({"$ref": "#/definitions/one"})),
        Just(json!({})),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        collection::vec(keyword(inner), 0..5)
            .prop_map(|keywords| Value::Object(keywords.into_iter().collect()))
    })
    .prop_map(|schema| match schema {
        Value::Object(mut keywords) => {
            if keywords.remove("$ref").is_some() {
                keywords.insert("allOf".into(), json!([{"$ref": "#/definitions/one"}]));
            }
            let without_if = !keywords.contains_key("if");
            keywords.retain(|key, _| !(without_if && (key == "then" || key == "else")));
            let one = json!({"type": ["string", "object"], "maxLength": 3});
            keywords.insert("definitions".into(), json!({ "one": one }));
            Value::Object(keywords)
        }
        _ => Value::Object(Map::new()),
    })
}

/// The reference validator.
fn reference_validator(schema: &Value) -> Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(true)
        .build(schema)
        .unwrap()
}

/// Verdict of the reference validator.
fn oracle(schema: &Value, instance: &Value) -> bool {
    reference_validator(schema).is_valid(instance)
}

/// The published schemas, compiled by both.
static PUBLISHED: LazyLock<Vec<(Schema, Validator)>> = LazyLock::new(|| {
    let versions = SchemaVersion::ALL.iter();
    versions
        .map(|version| {
            let schema = serde_json::from_str(version.text).unwrap();
            (Schema::new(&schema).unwrap(), reference_validator(&schema))
        })
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_schema_gives_the_same_verdict(schema in schema(), instances in collection::vec(instance(), 1..6)) {
        // Ours rejects nested `then` without `if`, which draft-07 ignores.
        let Ok(ours) = Schema::new(&schema) else { return Err(TestCaseError::reject("refused")) };
        for instance in instances {
            let faults = ours.validate(&instance);
            prop_assert_eq!(
                faults.is_empty(), oracle(&schema, &instance), "{}\n{}\n{:?}", schema, instance, faults
            );
        }
    }

    #[test]
    fn a_mutated_example_gets_the_same_verdict(recipe in mutated_example()) {
        for (ours, theirs) in PUBLISHED.iter() {
            let faults = ours.validate(&recipe);
            prop_assert_eq!(faults.is_empty(), theirs.is_valid(&recipe), "{}\n{:?}", recipe, faults);
        }
    }

    #[test]
    fn any_uri_gets_the_same_verdict(text in uri_like()) {
        let schema = json!({"format": "uri"});
        let text = Value::from(text);
        let ours = Schema::new(&schema).unwrap().validate(&text).is_empty();
        prop_assert_eq!(ours, oracle(&schema, &text), "{}", text);
    }
}

/// A published example with some values replaced or removed.
fn mutated_example() -> impl Strategy<Value = Value> {
    let examples: Vec<Value> = [
        include_str!("../examples/install-linux.json"),
        include_str!("../examples/install-windows.json"),
        include_str!("../examples/install-esxi.json"),
        include_str!("../examples/firmware-update.json"),
        include_str!("../examples/erase.json"),
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    let fields = vec![
        "/task_target",
        "/target_disk",
        "/oci_url",
        "/firmware_url",
        "/firmware_sha256",
        "/erase_disks",
        "/erase_disks/0/disk",
        "/erase_disks/0/serial",
        "/erase_disks/0/size",
        "/partition_layout",
        "/partition_layout/0/size",
        "/partition_layout/0/type_guid",
        "/partition_layout/0/format",
        "/partition_layout/0/label",
        "/metadata",
        "/user_data",
        "/new",
    ];
    let text = prop_oneof![
        "/dev/(sd[a-z0-9]|mapper/[a-z./]{1,6}|disk/by-id/[a-z.]{1,6})",
        "(oci://)?[a-zA-Z.]{1,5}(:5000)?/[a-z._-]{1,5}(:[a-z0-9.-]{1,4})?",
        "[0-9]{1,3}[KMGT%]?",
        "[0-9a-fA-F]{4}",
        "[a-z.-]{0,5}\\.target",
        "\\PC{0,34}",
        "[\\x00-\\x7f]{0,4}",
    ]
    .prop_map(Value::from);
    let value = prop_oneof![3 => text, 1 => instance()];
    let change = (sample::select(fields), proptest::option::of(value));
    (sample::select(examples), collection::vec(change, 0..3)).prop_map(|(mut recipe, changes)| {
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let Some(Value::Object(parent)) = recipe.pointer_mut(parent) else { continue };
            match value {
                Some(value) => drop(parent.insert(name.to_owned(), value)),
                None => drop(parent.remove(name)),
            }
        }
        recipe
    })
}

fn uri_like() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z1+.-]{0,4}:(//)?([a-z%0-9@:!]{0,8})(\\[[0-9a-fv.:]{0,9}\\])?(:[0-9]{0,6})?[/a-z%41?#\\[]{0,8}",
        "https?://[a-z.]{1,9}(:[0-9]{1,5})?(/[a-z0-9%~;=&' -]{0,6}){0,3}(\\?[a-z/?]{0,4})?(#[a-z]{0,3})?",
        "\\PC{0,12}",
    ]
}

#[test]
fn a_schema_is_never_half_obeyed() {
    for (schema, at) in [
        (json!({"patternProperties": {}}), "/patternProperties"),
        (json!({"properties": {"a": {"uniqueItems": true}}}), "/properties/a/uniqueItems"),
        (json!({"definitions": {"unused": {"contains": true}}}), "/definitions/unused/contains"),
        (json!({"format": "date"}), "/format"),
        (json!({"items": [true]}), "/items"),
        (json!({"$ref": "https://elsewhere.example/"}), ""),
        (json!({"$ref": "#/definitions/none"}), ""),
        (json!({"definitions": {"a": {"not": {"$ref": "#/definitions/a"}}}}), "/definitions/a/not"),
        (json!({"allOf": [{"$ref": "#/definitions/a", "type": "null"}]}), "/allOf/0"),
        (json!({"not": {"$id": "inner"}}), "/not/$id"),
        (json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}), "/$schema"),
        (json!({"then": true}), "/then"),
        (json!({"pattern": "("}), "/pattern"),
        (json!({"maxLength": -1}), "/maxLength"),
        (json!({"type": "text"}), "/type"),
        (json!({"anyOf": []}), "/anyOf"),
        (json!(7), ""),
    ] {
        let error = Schema::new(&schema).unwrap_err();
        assert_eq!(error.pointer, at, "{schema}: {error}");
    }
}

#[test]
fn a_schema_that_grows_without_end_is_refused() {
    let mut definitions = Map::new();
    definitions.insert("d0".into(), json!({}));
    for level in 1..40 {
        let reference = json!({ "$ref": format!("#/definitions/d{}", level - 1) });
        definitions.insert(format!("d{level}"), json!({ "allOf": [reference, reference] }));
    }
    let error = Schema::new(&json!({ "definitions": definitions })).unwrap_err();
    assert!(error.what.contains("more than"), "{error}");
}
