// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A validator for the keywords of JSON Schema draft-07 that recipe schemas use.
//!
//! Written by hand because the dispatcher must stay under 3 MiB, and `cargo xtask` under its limit
//! of build units. In a static program that does nothing else, the `jsonschema` crate took 4.3 MB
//! and `boon` 2.9 MB, mostly for regular expressions, internationalised names and remote references
//! that no recipe schema uses. This module has the keywords of [`compile`] and **refuses a schema
//! with any other**, so no keyword is ignored. A property test compares its verdict with the
//! `jsonschema` crate for random schemas and instances.
//!
//! It is stricter than draft-07 and refuses these schemas: `$id` below the root, `$ref` beside
//! other keywords (draft-07 ignores those), cyclic references, `items` as a list, any `format` but
//! `uri`. Patterns are read by `regex-lite`; recipe schemas use the part that it and ECMA 262 have
//! in common.

mod compile;
mod json;
mod number;
mod validate;

use regex_lite::Regex;
use serde_json::{Number, Value};

pub(crate) use json::parse;

use crate::fault::Fault;

/// The largest schema file that is read, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 256 * 1024;

/// Why a schema can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema at {}: {what}", if pointer.is_empty() { "its root" } else { pointer })]
pub struct SchemaError {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong there.
    pub what: String,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    id: Option<String>,
    root: Node,
}

impl Schema {
    /// Reads and compiles a schema file. An unknown keyword is an error.
    pub fn from_slice(file: &[u8]) -> Result<Self, SchemaError> {
        let error = |what: String| SchemaError { pointer: String::new(), what };
        if file.len() > MAX_SCHEMA_BYTES {
            return Err(error(format!("more than {MAX_SCHEMA_BYTES} bytes")));
        }
        let (value, duplicates) = parse(file).map_err(|syntax| error(syntax.to_string()))?;
        if let Some(duplicate) = duplicates.into_iter().next() {
            return Err(SchemaError { pointer: duplicate.path, what: duplicate.message });
        }
        Self::new(&value)
    }

    /// Compiles a parsed schema.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        Ok(Self {
            id: schema.get("$id").and_then(Value::as_str).map(str::to_owned),
            root: compile::compile(schema)?,
        })
    }

    /// The schema's `$id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Every fault of `instance`, sorted by place; none if it is valid.
    pub fn validate(&self, instance: &Value) -> Vec<Fault> {
        let mut faults = validate::faults(&self.root, instance);
        faults.sort();
        faults.dedup();
        faults
    }
}

/// One schema: all of its checks must pass.
#[derive(Debug, Default)]
struct Node {
    /// Description in the schema, for messages.
    description: Option<String>,
    checks: Vec<Check>,
}

/// A type of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Object,
    Array,
    Number,
    Integer,
    String,
}

/// One keyword with its value.
#[derive(Debug)]
enum Check {
    /// The schema `false`.
    Never,
    Type(Vec<Type>),
    Enum(Vec<Value>),
    Const(Value),
    Minimum(Number),
    Maximum(Number),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Regex),
    FormatUri,
    MinItems(u64),
    MaxItems(u64),
    Items(Box<Node>),
    Required(Vec<String>),
    Properties(Vec<(String, Node)>),
    /// What members outside the list must match; `None` if there must be none.
    AdditionalProperties(Vec<String>, Option<Box<Node>>),
    AllOf(Vec<Node>),
    AnyOf(Vec<Node>),
    OneOf(Vec<Node>),
    Not(Box<Node>),
    /// `if`, `then`, `else`.
    If(Box<Node>, Option<Box<Node>>, Option<Box<Node>>),
}
