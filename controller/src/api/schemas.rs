// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! JSON schemas of domain types, which do not depend on schema generation.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::audit::{Action, Kind};
use crate::jobs::model::{JobId, Outcome, State, Step as JobStep};
use crate::labels::Labels;

/// Implements `JsonSchema` for a domain type.
macro_rules! schema {
    ($type:ty, $name:literal, $inline:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                $inline
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                let schema: Value = $schema;
                schema.try_into().unwrap()
            }
        }
    };
}

/// Implements `JsonSchema` for string enumerations.
macro_rules! words {
    ($($type:ident),+) => {
        $(schema!($type, "Words", true, |_generator| enumeration($type::ALL));)+
    };
}

pub(super) fn enumeration(words: &[impl ToString]) -> Value {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    json!({ "type": "string", "enum": words })
}

/// Schema of a serial number, for `String` fields.
pub(super) struct Serial;
/// Schema of a step, for `String` fields.
pub(super) struct Step;

words!(Outcome, Kind, Action);
schema!(JobId, "JobId", true, |_generator| json!({ "type": "string", "format": "uuid" }));
schema!(Serial, "Serial", false, |_generator| json!({
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "Printable ASCII without leading or trailing spaces.",
}));
schema!(State, "JobState", false, |_generator| {
    let mut schema = enumeration(State::ALL);
    schema["description"] =
        "queued → provisioning → succeeded or failed → complete; clean-up runs \
                             while it is succeeded or failed."
            .into();
    schema
});
schema!(Step, "Step", false, |_generator| {
    let steps: Vec<String> = JobStep::FIXED.iter().map(ToString::to_string).collect();
    let steps = steps.join(", ");
    json!({
        "type": "string",
        "description": format!("One of {steps}, or `workflow.` and the systemd unit of the maintenance OS that failed first."),
        "examples": ["workflow.image-linux.service"],
    })
});
schema!(Labels, "Labels", false, |_generator| {
    let word = json!({ "pattern": "^[A-Za-z0-9._-]{1,63}$" });
    json!({
        "type": "object",
        "maxProperties": 32,
        "propertyNames": word,
        "additionalProperties": { "type": "string", "pattern": word["pattern"] },
        "description": "Groups of API users select servers by labels.",
    })
});

pub(super) use schema;
