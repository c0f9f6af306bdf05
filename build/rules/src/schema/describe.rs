// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Describes a change of a schema in words, for release notes.

use serde_json::Value;

/// Longest value that is shown, in characters.
const LONGEST: usize = 60;

/// What changed at `pointer`, from its value in either schema: `` `network.mtu`: maximum 9216, was 9000 ``.
pub(super) fn describe(pointer: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    let keys: Vec<String> =
        pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let (place, keyword) = place(&keys);
    let Some(keyword) = keyword else {
        let what = match (old, new) {
            (None, _) => "added",
            (Some(_), None) => "removed",
            (Some(_), Some(_)) => "changed",
        };
        return format!("{} {what}", subject(&place));
    };
    // Each list of differing entries that is not empty, in words.
    let lists = |words: [&str; 2], show: &dyn Fn(&[&Value], &str) -> String| -> String {
        let lists = [subtract(new, old), subtract(old, new)];
        let lists = lists.iter().zip(words).filter(|(values, _)| !values.is_empty());
        lists.map(|(values, word)| show(values, word)).collect::<Vec<_>>().join("; ")
    };
    let subject = subject(&place);
    match keyword {
        "required" => lists(["required", "now optional"], &|fields, word| {
            let path = |field: &&Value| {
                let name = field.as_str().unwrap_or_default().to_owned();
                format!("`{}`", [&place[..], &[name]].concat().join("."))
            };
            format!("{} {word}", fields.iter().map(path).collect::<Vec<_>>().join(", "))
        }),
        "enum" | "type" if old.is_some() && new.is_some() => {
            let what = if keyword == "enum" { "value" } else { "type" };
            lists(["added", "removed"], &|values, word| {
                let values: Vec<_> = values.iter().map(|it| show_value(it)).collect();
                format!("{subject}: {what} {} {word}", values.join(", "))
            })
        }
        _ => match (old, new) {
            (Some(old), Some(new)) => {
                format!("{subject}: {keyword} {}, was {}", show_value(new), show_value(old))
            }
            (None, Some(new)) => format!("{subject}: {keyword} {} added", show_value(new)),
            (Some(old), None) => format!("{subject}: {keyword} {} removed", show_value(old)),
            (None, None) => format!("{subject}: {keyword} changed"),
        },
    }
}

/// Splits the keys of a pointer into the path of a field and the keyword that applies to it; a
/// pointer to the field itself has none.
fn place(keys: &[String]) -> (Vec<String>, Option<&str>) {
    let mut place = Vec::new();
    let mut keys = keys.iter().map(String::as_str);
    let mut keyword = None;
    while let Some(key) = keys.next() {
        match key {
            "properties" | "definitions" => {
                keyword = None;
                place.extend(keys.next().map(str::to_owned));
            }
            "items" => {
                keyword = Some(key);
                if let Some(last) = place.last_mut() {
                    last.push_str("[]");
                }
            }
            // The index of a subschema is of no use to a reader.
            _ if key.bytes().all(|c| c.is_ascii_digit()) => {}
            _ => keyword = Some(key),
        }
    }
    (place, keyword)
}

fn subject(place: &[String]) -> String {
    if place.is_empty() { "the recipe".to_owned() } else { format!("`{}`", place.join(".")) }
}

/// The entries of `whole` that are not in `part`; a single value is a list of one.
fn subtract<'a>(whole: Option<&'a Value>, part: Option<&Value>) -> Vec<&'a Value> {
    fn list(value: Option<&Value>) -> &[Value] {
        match value {
            Some(Value::Array(list)) => list,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }
    let part = list(part);
    list(whole).iter().filter(|it| !part.contains(it)).collect()
}

fn show_value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let end = text.char_indices().nth(LONGEST).map(|it| it.0);
    let (text, more) =
        end.map_or((text.as_str(), ""), |end| (text.get(..end).unwrap_or(&text), "…"));
    format!("`{text}{more}`")
}

#[cfg(test)]
mod tests {
    use super::super::changes;
    use serde_json::json;

    #[test]
    fn changes_are_described_by_their_field() {
        let old = json!({
            "required": ["a"],
            "properties": {
                "a": {"maxLength": 5, "pattern": "^x$"},
                "b": {"properties": {"c/d": {"enum": ["x"]}}, "required": []},
                "gone": {"type": "string"},
                "list": {"items": {"type": "string"}},
            },
            "additionalProperties": false,
        });
        let new = json!({
            "required": ["b"],
            "properties": {
                "a": {"maxLength": 4},
                "b": {"properties": {"c/d": {"enum": ["y", "x"]}}, "required": ["c/d"]},
                "list": {"items": {"type": ["string", "null"], "minLength": 1}},
                "new": {"type": "null"},
            },
            "additionalProperties": false,
        });
        let mut found: Vec<_> = changes(&old, &new).into_iter().map(|it| it.what).collect();
        found.sort();
        let expected = [
            "`a`: maxLength `4`, was `5`",
            "`a`: pattern `^x$` removed",
            "`b.c/d` required",
            "`b.c/d`: value `y` added",
            "`b` required; `a` now optional",
            "`gone` removed",
            "`list[]`: minLength `1` added",
            "`list[]`: type `null` added",
            "`new` added",
        ];
        assert_eq!(found, expected);
        let long = json!({"properties": {"a": {"pattern": "x".repeat(99)}}});
        let what = &changes(&json!({"properties": {"a": {}}}), &long)[0].what;
        assert_eq!(what, &format!("`a`: pattern `{}…` added", "x".repeat(60)));
        assert_eq!(
            changes(&json!({}), &json!({"surprise": 1}))[0].what,
            "the recipe: surprise `1` added"
        );
    }
}
