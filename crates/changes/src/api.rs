// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Changes of the HTTP API between two `OpenAPI` 3 documents.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::bump::Bump;

/// One change of the API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ApiChange {
    /// The version bump that it requires.
    pub bump: Bump,
    /// JSON pointer into the document.
    pub pointer: String,
    /// What changed.
    pub what: String,
}

const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

/// All changes of operations, parameters, success codes and schemas; descriptions do not count.
pub fn api_changes(old: &Value, new: &Value) -> Vec<ApiChange> {
    let mut out = Vec::new();
    operations(old, new, &mut out);
    each(old, new, "/components/schemas", |name, old, new| {
        let at = format!("/components/schemas/{name}");
        match (old, new) {
            (Some(old), Some(new)) => schema(&at, old, new, &mut out),
            (Some(_), None) => push(&mut out, Bump::Major, at, "schema removed"),
            _ => push(&mut out, Bump::Minor, at, "schema added"),
        }
    });
    out.sort();
    out
}

fn operations(old: &Value, new: &Value, out: &mut Vec<ApiChange>) {
    each(old, new, "/paths", |path, old, new| {
        for method in METHODS {
            let find = |item: Option<&Value>| item.and_then(|it| it.get(method)).cloned();
            let at = format!("/paths/{}/{method}", escape(path));
            match (find(old), find(new)) {
                (Some(old), Some(new)) => operation(&at, &old, &new, out),
                (Some(_), None) => push(out, Bump::Major, at, "operation removed"),
                (None, Some(_)) => push(out, Bump::Minor, at, "operation added"),
                (None, None) => {}
            }
        }
    });
}

fn operation(at: &str, old: &Value, new: &Value, out: &mut Vec<ApiChange>) {
    let parameters = |operation: &Value| -> BTreeSet<(String, bool)> {
        let list = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        list.map(|one| {
            let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
            let name = if text("$ref").is_empty() {
                format!("{} {}", text("in"), text("name"))
            } else {
                text("$ref").to_owned()
            };
            (name, one.get("required").and_then(Value::as_bool).unwrap_or(false))
        })
        .collect()
    };
    let (before, after) = (parameters(old), parameters(new));
    let named = |list: &BTreeSet<(String, bool)>, name: &str| list.iter().any(|it| it.0 == name);
    for (name, _) in before.iter().filter(|it| !named(&after, &it.0)) {
        push(out, Bump::Major, format!("{at}/parameters"), &format!("parameter {name} removed"));
    }
    for (name, required) in after.difference(&before) {
        let (bump, what) = match (required, named(&before, name)) {
            (true, _) => (Bump::Major, "required"),
            (false, true) => (Bump::Minor, "optional"),
            (false, false) => (Bump::Minor, "added"),
        };
        push(out, bump, format!("{at}/parameters"), &format!("parameter {name} {what}"));
    }
    each(old, new, "/responses", |code, old, new| {
        let at = format!("{at}/responses/{code}");
        match (old, new) {
            (Some(_), None) if code.starts_with('2') => {
                push(out, Bump::Major, at, "success response removed");
            }
            (None, Some(_)) if code.starts_with('2') => {
                push(out, Bump::Minor, at, "success response added");
            }
            _ => {}
        }
    });
}

fn schema(at: &str, old: &Value, new: &Value, out: &mut Vec<ApiChange>) {
    for key in ["type", "format", "$ref", "enum", "const"] {
        let (before, after) = (old.get(key), new.get(key));
        if before != after {
            let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
            let wider = match (list(before), list(after)) {
                (Some(before), Some(after)) => before.iter().all(|it| after.contains(it)),
                _ => false,
            };
            let bump = if wider { Bump::Minor } else { Bump::Major };
            push(out, bump, format!("{at}/{key}"), "changed");
        }
    }
    each(old, new, "/properties", |name, old, new| {
        let at = format!("{at}/properties/{}", escape(name));
        match (old, new) {
            (Some(old), Some(new)) => schema(&at, old, new, out),
            (Some(_), None) => push(out, Bump::Major, at, "property removed"),
            _ => push(out, Bump::Minor, at, "property added"),
        }
    });
    if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
        schema(&format!("{at}/items"), old, new, out);
    }
    let required = |value: &Value| -> BTreeSet<String> {
        let list = value.get("required").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for name in required(new).difference(&required(old)) {
        push(out, Bump::Major, format!("{at}/required"), &format!("property {name} required"));
    }
}

/// Calls `look` with each member of the object at `pointer` in either document.
fn each(
    old: &Value,
    new: &Value,
    pointer: &str,
    mut look: impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    let object = |value: &Value| value.pointer(pointer).and_then(Value::as_object).cloned();
    let (old, new) = (object(old).unwrap_or_default(), object(new).unwrap_or_default());
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        look(name, old.get(name), new.get(name));
    }
}

fn push(out: &mut Vec<ApiChange>, bump: Bump, pointer: String, what: &str) {
    out.push(ApiChange { bump, pointer, what: what.to_owned() });
}

/// A key in a JSON pointer (RFC 6901, section 3).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bumps(old: &Value, new: &Value) -> Vec<(Bump, String)> {
        api_changes(old, new).into_iter().map(|it| (it.bump, it.what)).collect()
    }

    #[test]
    fn additions_are_minor_and_removals_major() {
        let old =
            json!({"paths": {"/a": {"get": {"responses": {"200": {}, "404": {}}}, "put": {}}}});
        let new = json!({"paths": {"/a": {"get": {
            "summary": "text", "responses": {"201": {}},
            "parameters": [{"in": "query", "name": "x"}, {"in": "query", "name": "y", "required": true}],
        }}, "/b": {"get": {}}}});
        let expected = [
            (Bump::Minor, "parameter query x added"),
            (Bump::Minor, "success response added"),
            (Bump::Minor, "operation added"),
            (Bump::Major, "parameter query y required"),
            (Bump::Major, "success response removed"),
            (Bump::Major, "operation removed"),
        ];
        assert_eq!(bumps(&old, &new), expected.map(|(bump, what)| (bump, what.to_owned())));
        assert!(bumps(&old, &old).is_empty());
    }

    #[test]
    fn schemas_are_compared_within() {
        let schema = |value: Value| json!({"components": {"schemas": {"Job": value}}});
        let old = schema(json!({"type": "object", "properties": {"a": {"enum": ["x"]}, "b": {}}}));
        let new =
            schema(json!({"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "c": {}},
            "required": ["c"]}));
        let expected = [
            (Bump::Minor, "changed"),
            (Bump::Minor, "property added"),
            (Bump::Major, "property removed"),
            (Bump::Major, "property c required"),
        ];
        assert_eq!(bumps(&old, &new), expected.map(|(bump, what)| (bump, what.to_owned())));
    }
}
