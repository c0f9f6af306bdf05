// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compiles a schema from JSON. Every keyword is known or refused.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{Check, Node, SchemaError, Type};
use crate::fault::pointer_to;

/// The only dialect.
const DRAFT_07: &str = "http://json-schema.org/draft-07/schema";
/// Most subschemas of a schema; references count as often as they are used.
const MAX_NODES: usize = 10_000;

pub(super) fn compile(root: &Value) -> Result<Node, SchemaError> {
    let mut compiler = Compiler { root, nodes: 0, following: Vec::new() };
    // A definition without references is checked too.
    if let Some(definitions) = root.get("definitions") {
        compiler.named_nodes("/definitions", definitions)?;
    }
    compiler.node("", root)
}

/// State of the compilation.
struct Compiler<'a> {
    root: &'a Value,
    nodes: usize,
    /// The definitions that are being resolved, to detect a cycle.
    following: Vec<&'a str>,
}

fn error<T>(pointer: &str, what: impl Into<String>) -> Result<T, SchemaError> {
    Err(SchemaError { pointer: pointer.to_owned(), what: what.into() })
}

impl<'a> Compiler<'a> {
    fn node(&mut self, pointer: &str, schema: &'a Value) -> Result<Node, SchemaError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return error(pointer, format!("more than {MAX_NODES} schemas"));
        }
        match schema {
            Value::Bool(true) => Ok(Node::default()),
            Value::Bool(false) => Ok(Node { description: None, checks: vec![Check::Never] }),
            Value::Object(keywords) if keywords.contains_key("$ref") => {
                self.reference(pointer, keywords)
            }
            Value::Object(keywords) => self.keywords(pointer, keywords),
            _ => error(pointer, "expected an object or a boolean"),
        }
    }

    /// `$ref`, replaced by the definition.
    fn reference(
        &mut self,
        pointer: &str,
        keywords: &'a Map<String, Value>,
    ) -> Result<Node, SchemaError> {
        const ANNOTATIONS: [&str; 4] = ["$ref", "$comment", "title", "description"];
        if let Some(other) = keywords.keys().find(|key| !ANNOTATIONS.contains(&key.as_str())) {
            return error(pointer, format!("{other} beside $ref would be ignored"));
        }
        let name = keywords
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix("#/definitions/"))
            .filter(|name| !name.contains(['/', '~', '%']));
        let Some(name) = name else {
            return error(pointer, "$ref: expected #/definitions/NAME");
        };
        if self.following.contains(&name) {
            return error(pointer, format!("$ref: {name} refers to itself"));
        }
        let Some(target) = self.root.get("definitions").and_then(|all| all.get(name)) else {
            return error(pointer, format!("$ref: there is no definition {name}"));
        };
        self.following.push(name);
        let node = self.node(&pointer_to("/definitions", name), target);
        self.following.pop();
        node
    }

    fn keywords(
        &mut self,
        pointer: &str,
        keywords: &'a Map<String, Value>,
    ) -> Result<Node, SchemaError> {
        let mut node = Node::default();
        for (keyword, value) in keywords {
            let here = pointer_to(pointer, keyword);
            let at = here.as_str();
            let check = match keyword.as_str() {
                "type" => Check::Type(types(at, value)?),
                "enum" => Check::Enum(list(at, value)?.clone()),
                "const" => Check::Const(value.clone()),
                "minimum" => Check::Minimum(number(at, value)?),
                "maximum" => Check::Maximum(number(at, value)?),
                "minLength" => Check::MinLength(count(at, value)?),
                "maxLength" => Check::MaxLength(count(at, value)?),
                "minItems" => Check::MinItems(count(at, value)?),
                "maxItems" => Check::MaxItems(count(at, value)?),
                "pattern" => Check::Pattern(pattern(at, value)?),
                "format" if value == "uri" => Check::FormatUri,
                "format" => return error(at, "the only format is uri"),
                "items" if value.is_array() => return error(at, "expected one schema, not a list"),
                "items" => Check::Items(Box::new(self.node(at, value)?)),
                "required" => Check::Required(strings(at, value)?),
                "properties" => Check::Properties(self.named_nodes(at, value)?),
                "additionalProperties" => self.additional(at, keywords, value)?,
                "allOf" => Check::AllOf(self.nodes(at, value)?),
                "anyOf" => Check::AnyOf(self.nodes(at, value)?),
                "oneOf" => Check::OneOf(self.nodes(at, value)?),
                "not" => Check::Not(Box::new(self.node(at, value)?)),
                "if" => self.condition(pointer, keywords, value)?,
                "then" | "else" if keywords.contains_key("if") => continue,
                "then" | "else" => return error(at, "there is no if beside it"),
                "description" => {
                    node.description = Some(string(at, value)?.to_owned());
                    continue;
                }
                "title" | "$comment" => {
                    string(at, value)?;
                    continue;
                }
                "examples" => {
                    list(at, value)?;
                    continue;
                }
                "default" => continue,
                "$schema" if pointer.is_empty() => {
                    if string(at, value)?.trim_end_matches('#') != DRAFT_07 {
                        return error(at, format!("expected {DRAFT_07}#"));
                    }
                    continue;
                }
                "$id" if pointer.is_empty() => {
                    string(at, value)?;
                    continue;
                }
                "definitions" if pointer.is_empty() => continue,
                "$schema" | "$id" | "definitions" => {
                    return error(at, "allowed at the root of the schema only");
                }
                _ => return error(at, "this validator does not know the keyword"),
            };
            node.checks.push(check);
        }
        Ok(node)
    }

    fn nodes(&mut self, pointer: &str, value: &'a Value) -> Result<Vec<Node>, SchemaError> {
        let schemas = list(pointer, value)?;
        if schemas.is_empty() {
            return error(pointer, "expected at least one schema");
        }
        let numbered = schemas.iter().enumerate();
        numbered.map(|(index, schema)| self.node(&format!("{pointer}/{index}"), schema)).collect()
    }

    fn named_nodes(
        &mut self,
        pointer: &str,
        value: &'a Value,
    ) -> Result<Vec<(String, Node)>, SchemaError> {
        let Value::Object(members) = value else {
            return error(pointer, "expected an object of schemas");
        };
        let named = members.iter();
        named
            .map(|(name, schema)| {
                Ok((name.clone(), self.node(&pointer_to(pointer, name), schema)?))
            })
            .collect()
    }

    fn additional(
        &mut self,
        pointer: &str,
        keywords: &'a Map<String, Value>,
        value: &'a Value,
    ) -> Result<Check, SchemaError> {
        let known = match keywords.get("properties") {
            Some(Value::Object(properties)) => properties.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let schema = match value {
            Value::Bool(false) => None,
            schema => Some(Box::new(self.node(pointer, schema)?)),
        };
        Ok(Check::AdditionalProperties(known, schema))
    }

    fn condition(
        &mut self,
        pointer: &str,
        keywords: &'a Map<String, Value>,
        condition: &'a Value,
    ) -> Result<Check, SchemaError> {
        let mut branch = |keyword: &str| {
            let schema = keywords.get(keyword);
            schema
                .map(|schema| self.node(&pointer_to(pointer, keyword), schema).map(Box::new))
                .transpose()
        };
        let (then, otherwise) = (branch("then")?, branch("else")?);
        let condition = self.node(&pointer_to(pointer, "if"), condition)?;
        Ok(Check::If(Box::new(condition), then, otherwise))
    }
}

fn list<'a>(pointer: &str, value: &'a Value) -> Result<&'a Vec<Value>, SchemaError> {
    value.as_array().map_or_else(|| error(pointer, "expected a list"), Ok)
}

fn string<'a>(pointer: &str, value: &'a Value) -> Result<&'a str, SchemaError> {
    value.as_str().map_or_else(|| error(pointer, "expected a string"), Ok)
}

fn strings(pointer: &str, value: &Value) -> Result<Vec<String>, SchemaError> {
    list(pointer, value)?.iter().map(|item| string(pointer, item).map(str::to_owned)).collect()
}

fn count(pointer: &str, value: &Value) -> Result<u64, SchemaError> {
    value.as_u64().map_or_else(|| error(pointer, "expected a whole number from 0"), Ok)
}

fn number(pointer: &str, value: &Value) -> Result<serde_json::Number, SchemaError> {
    value.as_number().cloned().map_or_else(|| error(pointer, "expected a number"), Ok)
}

fn pattern(pointer: &str, value: &Value) -> Result<Regex, SchemaError> {
    Regex::new(string(pointer, value)?).or_else(|fault| error(pointer, fault.to_string()))
}

fn types(pointer: &str, value: &Value) -> Result<Vec<Type>, SchemaError> {
    let names = match value {
        Value::String(name) => vec![name.clone()],
        other => strings(pointer, other)?,
    };
    let known = |name: &String| match name.as_str() {
        "null" => Ok(Type::Null),
        "boolean" => Ok(Type::Boolean),
        "object" => Ok(Type::Object),
        "array" => Ok(Type::Array),
        "number" => Ok(Type::Number),
        "integer" => Ok(Type::Integer),
        "string" => Ok(Type::String),
        _ => error(pointer, "expected a type of JSON"),
    };
    names.iter().map(known).collect()
}
