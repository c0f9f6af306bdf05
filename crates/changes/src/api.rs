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

/// Where clients meet a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Only in replies, which clients read.
    Reply,
    /// Only in requests, which clients write.
    Request,
    /// In both, or no operation refers to it.
    Both,
}

impl Direction {
    /// The bump for a constraint that is new. It promises more to readers.
    fn stricter_bump(self) -> Bump {
        if self == Self::Reply { Bump::Minor } else { Bump::Major }
    }

    /// The bump for a constraint that is gone. It accepts more from writers.
    fn looser_bump(self) -> Bump {
        if self == Self::Request { Bump::Minor } else { Bump::Major }
    }
}

/// Schemas by name that requests and replies of the operations in `documents` refer to, directly
/// and through components.
struct Directions {
    requests: BTreeSet<String>,
    replies: BTreeSet<String>,
}

impl Directions {
    fn read(documents: [&Value; 2]) -> Self {
        let mut found = Self { requests: BTreeSet::new(), replies: BTreeSet::new() };
        for document in documents {
            let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
            for item in paths.filter_map(|(_, item)| item.as_object()) {
                // Parameters of a path apply to all its operations.
                let shared = item.get("parameters").into_iter();
                let operations = METHODS.iter().filter_map(|method| item.get(*method));
                for part in operations.flat_map(|it| it.as_object().into_iter().flatten()) {
                    let side = if part.0 == "responses" {
                        &mut found.replies
                    } else {
                        &mut found.requests
                    };
                    follow(document, part.1, side);
                }
                shared.for_each(|it| follow(document, it, &mut found.requests));
            }
        }
        found
    }

    fn direction_of(&self, schema: &str) -> Direction {
        let pointer = format!("/components/schemas/{}", escape(schema));
        match (self.requests.contains(&pointer), self.replies.contains(&pointer)) {
            (false, true) => Direction::Reply,
            (true, false) => Direction::Request,
            _ => Direction::Both,
        }
    }
}

/// Adds the targets of all references in `value`, and of those in the targets.
fn follow(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(list) => rest.extend(list),
            Value::Object(members) => {
                rest.extend(members.values());
                let target = members.get("$ref").and_then(Value::as_str);
                if let Some(pointer) = target.and_then(|it| it.strip_prefix('#'))
                    && found.insert(pointer.to_owned())
                {
                    rest.extend(document.pointer(pointer));
                }
            }
            _ => {}
        }
    }
}

/// All changes of operations, parameters, success codes and schemas; descriptions do not count.
pub fn api_changes(old: &Value, new: &Value) -> Vec<ApiChange> {
    let mut out = Vec::new();
    operations(old, new, &mut out);
    let directions = Directions::read([old, new]);
    visit_members(old, new, "/components/schemas", |name, old, new| {
        let at = format!("/components/schemas/{name}");
        match (old, new) {
            (Some(old), Some(new)) => {
                schema(&at, old, new, directions.direction_of(name), &mut out);
            }
            (Some(_), None) => push(&mut out, Bump::Major, at, "schema removed"),
            _ => push(&mut out, Bump::Minor, at, "schema added"),
        }
    });
    out.sort();
    out
}

fn operations(old: &Value, new: &Value, out: &mut Vec<ApiChange>) {
    visit_members(old, new, "/paths", |path, old, new| {
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
    visit_members(old, new, "/responses", |code, old, new| {
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

fn schema(at: &str, old: &Value, new: &Value, used: Direction, out: &mut Vec<ApiChange>) {
    for key in ["type", "format", "$ref", "enum", "const"] {
        let (before, after) = (old.get(key), new.get(key));
        if before == after {
            continue;
        }
        let (bump, what) = match (before, after) {
            // A reference may require anything.
            (None, Some(_)) if key != "$ref" => (used.stricter_bump(), "added"),
            (Some(_), None) if key != "$ref" => (used.looser_bump(), "removed"),
            // Clients accept values that they do not know.
            (Some(Value::Array(before)), Some(Value::Array(after)))
                if before.iter().all(|it| after.contains(it)) =>
            {
                (Bump::Minor, "extended")
            }
            _ => (Bump::Major, "changed"),
        };
        push(out, bump, format!("{at}/{key}"), what);
    }
    visit_members(old, new, "/properties", |name, old, new| {
        let at = format!("{at}/properties/{}", escape(name));
        match (old, new) {
            (Some(old), Some(new)) => schema(&at, old, new, used, out),
            (Some(_), None) => push(out, Bump::Major, at, "property removed"),
            _ => push(out, Bump::Minor, at, "property added"),
        }
    });
    if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
        schema(&format!("{at}/items"), old, new, used, out);
    }
    let required = |value: &Value| -> BTreeSet<String> {
        let list = value.get("required").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for name in required(new).difference(&required(old)) {
        push(
            out,
            used.stricter_bump(),
            format!("{at}/required"),
            &format!("property {name} required"),
        );
    }
}

/// Calls `look` with each member of the object at `pointer` in either document.
fn visit_members(
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
    fn a_new_constraint_is_compatible_for_readers_and_a_removed_one_for_writers() {
        let content = |name: &str| {
            json!({"content": {"application/json": {"schema":
            {"$ref": format!("#/components/schemas/{name}")}}}})
        };
        let document = |field: Value, required: Value| {
            let object = json!({"properties": {"at": field}, "required": required});
            json!({
                "paths": {"/a": {"post": {
                    "requestBody": content("Asked"),
                    "responses": {"200": {"$ref": "#/components/responses/Ok"}},
                }, "put": {"requestBody": content("Both"), "responses": {"200": content("Both")}}}},
                "components": {
                    "responses": {"Ok": content("Page")},
                    // The entry is reached through the page.
                    "schemas": {
                        "Page": {"items": {"$ref": "#/components/schemas/Reply"}},
                        "Asked": object, "Both": object, "Reply": object, "Unused": object,
                    },
                },
            })
        };
        let plain = document(json!({"type": "string"}), json!([]));
        let strict = document(json!({"type": "string", "format": "date-time"}), json!(["at"]));
        let majors = |old: &Value, new: &Value| -> Vec<String> {
            let changes = api_changes(old, new).into_iter().filter(|it| it.bump == Bump::Major);
            let schema = |pointer: &str| pointer.split('/').nth(3).unwrap().to_owned();
            changes.map(|it| format!("{} {}", schema(&it.pointer), it.what)).collect()
        };
        assert_eq!(
            majors(&plain, &strict),
            ["Asked", "Both", "Unused"]
                .map(|it| [format!("{it} added"), format!("{it} property at required")])
                .concat()
        );
        assert_eq!(majors(&strict, &plain), ["Both removed", "Reply removed", "Unused removed"]);
        assert_eq!(api_changes(&plain, &strict).len(), 8);
    }

    #[test]
    fn schemas_are_compared_within() {
        let schema = |value: Value| json!({"components": {"schemas": {"Job": value}}});
        let old = schema(json!({"type": "object", "properties": {"a": {"enum": ["x"]}, "b": {}}}));
        let new =
            schema(json!({"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "c": {}},
            "required": ["c"]}));
        let expected = [
            (Bump::Minor, "extended"),
            (Bump::Minor, "property added"),
            (Bump::Major, "property removed"),
            (Bump::Major, "property c required"),
        ];
        assert_eq!(bumps(&old, &new), expected.map(|(bump, what)| (bump, what.to_owned())));
    }
}
