// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Validates an instance against a compiled schema. No message repeats a value of the instance.

use serde_json::{Map, Value};

use super::{Check, Node, Type, number};
use crate::{
    fault::{Fault, pointer_to},
    uri,
};

/// All faults of `instance`, in no particular order.
pub(super) fn faults(node: &Node, instance: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    visit(node, instance, "", &mut faults);
    faults
}

fn visit(node: &Node, instance: &Value, at: &str, faults: &mut Vec<Fault>) {
    let too_long = node.checks.iter().any(|check| is_too_long(check, instance));
    for check in &node.checks {
        // A pattern is not matched with a text that is too long anyway: it could take seconds.
        if !(too_long && matches!(check, Check::Pattern(_) | Check::FormatUri)) {
            apply(node, check, instance, at, faults);
        }
    }
}

fn is_too_long(check: &Check, instance: &Value) -> bool {
    match (check, instance) {
        (Check::MaxLength(bound), Value::String(text)) => chars(text) > *bound,
        _ => false,
    }
}

fn is_valid(node: &Node, instance: &Value) -> bool {
    faults(node, instance).is_empty()
}

fn apply(node: &Node, check: &Check, instance: &Value, at: &str, faults: &mut Vec<Fault>) {
    let mut fault =
        |code: &'static str, message: String| faults.push(Fault::new(at, code, message));
    match (check, instance) {
        (Check::Never, _) => fault("false", "is not allowed here".to_owned()),
        (Check::Type(types), _) if !types.iter().any(|kind| is_type(*kind, instance)) => {
            fault("type", format!("must be {}", type_names(types)));
        }
        (Check::Enum(values), _) if !values.iter().any(|value| number::equal(value, instance)) => {
            fault("enum", format!("must be one of {}", one_of(values)));
        }
        (Check::Const(value), _) if !number::equal(value, instance) => {
            fault("const", format!("must be {value}"));
        }
        (Check::Minimum(bound), Value::Number(n)) if number::compare(n, bound).is_lt() => {
            fault("minimum", format!("must be at least {bound}"));
        }
        (Check::Maximum(bound), Value::Number(n)) if number::compare(n, bound).is_gt() => {
            fault("maximum", format!("must be at most {bound}"));
        }
        (Check::MinLength(bound), Value::String(text)) if chars(text) < *bound => {
            fault("minLength", format!("must have at least {bound} characters"));
        }
        (Check::MaxLength(bound), _) if is_too_long(check, instance) => {
            fault("maxLength", format!("must have at most {bound} characters"));
        }
        (Check::Pattern(pattern), Value::String(text)) if !pattern.is_match(text) => {
            let form = node.description.as_deref().unwrap_or(pattern.as_str());
            fault("pattern", format!("does not have the expected form: {form}"));
        }
        (Check::FormatUri, Value::String(text)) if !uri::is_uri(text) => {
            fault("format", "must be a URI such as https://files.example/name".to_owned());
        }
        (Check::MinItems(bound), Value::Array(items)) if (items.len() as u64) < *bound => {
            fault("minItems", format!("must have at least {bound} items"));
        }
        (Check::MaxItems(bound), Value::Array(items)) if items.len() as u64 > *bound => {
            fault("maxItems", format!("must have at most {bound} items"));
        }
        (Check::Items(schema), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                visit(schema, item, &format!("{at}/{index}"), faults);
            }
        }
        (Check::AllOf(schemas), _) => {
            for schema in schemas {
                visit(schema, instance, at, faults);
            }
        }
        (Check::AnyOf(schemas), _) if !schemas.iter().any(|one| is_valid(one, instance)) => {
            fault("anyOf", format!("has none of the {} forms it may have", schemas.len()));
        }
        (Check::OneOf(schemas), _) => {
            let found = schemas.iter().filter(|one| is_valid(one, instance)).count();
            if found != 1 {
                let all = schemas.len();
                fault("oneOf", format!("has {found} of its {all} forms, must have exactly one"));
            }
        }
        (Check::Not(schema), _) if is_valid(schema, instance) => {
            let form = node.description.as_deref().unwrap_or("must not match");
            fault("not", format!("does not have the expected form: {form}"));
        }
        (Check::If(condition, then, otherwise), _) => {
            let branch = if is_valid(condition, instance) { then } else { otherwise };
            if let Some(branch) = branch {
                visit(branch, instance, at, faults);
            }
        }
        (check, Value::Object(members)) => members_of(check, members, at, faults),
        _ => {}
    }
}

/// The keywords for objects.
fn members_of(check: &Check, members: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) {
    match check {
        Check::Required(names) => {
            for name in names.iter().filter(|name| !members.contains_key(*name)) {
                faults.push(Fault::new(pointer_to(at, name), "required", "is missing".to_owned()));
            }
        }
        Check::Properties(properties) => {
            for (name, schema) in properties {
                if let Some(member) = members.get(name) {
                    visit(schema, member, &pointer_to(at, name), faults);
                }
            }
        }
        Check::AdditionalProperties(known, schema) => {
            for (name, member) in members.iter().filter(|(name, _)| !known.contains(name)) {
                let place = pointer_to(at, name);
                match schema {
                    Some(schema) => visit(schema, member, &place, faults),
                    None => faults.push(Fault::new(
                        place,
                        "additionalProperties",
                        "is not a field of the schema".to_owned(),
                    )),
                }
            }
        }
        _ => {}
    }
}

/// Length as JSON Schema counts it: Unicode characters (draft-07, 6.3.1).
fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

fn is_type(kind: Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Null, Value::Null)
        | (Type::Boolean, Value::Bool(_))
        | (Type::Object, Value::Object(_))
        | (Type::Array, Value::Array(_))
        | (Type::Number, Value::Number(_))
        | (Type::String, Value::String(_)) => true,
        (Type::Integer, Value::Number(number)) => number::is_integer(number),
        _ => false,
    }
}

fn type_names(types: &[Type]) -> String {
    let name = |kind: &Type| match kind {
        Type::Null => "null",
        Type::Boolean => "a boolean",
        Type::Object => "an object",
        Type::Array => "a list",
        Type::Number => "a number",
        Type::Integer => "a whole number",
        Type::String => "a string",
    };
    types.iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// The values of an `enum` as a list in a sentence.
fn one_of(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}
