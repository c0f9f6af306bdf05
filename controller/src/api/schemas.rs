// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! JSON schemas of domain types, which do not depend on schema generation.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::audit::{Action, Kind};
use crate::jobs::model::{JobId, Outcome, State, Step as JobStep};
use crate::labels::Labels;
use crate::operations::{Kind as OperationKind, State as OperationState};

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
/// Network of a host, validated by the crate `recipe`.
pub(super) struct Network;
/// Schema of a step, for `String` fields.
pub(super) struct Step;

words!(Outcome, Kind, Action, OperationKind, OperationState);
schema!(JobId, "JobId", true, |_generator| json!({ "type": "string", "format": "uuid" }));
schema!(Serial, "Serial", false, |_generator| json!({
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "Printable ASCII without leading or trailing spaces.",
}));
schema!(Network, "Network", false, |_generator| {
    let texts = |description: &str| {
        json!({
            "type": "array",
            "maxItems": 8,
            "items": { "type": "string" },
            "description": description,
        })
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["ports"],
        "description": "One interface with static addresses, or with DHCP if `addresses` is omitted.",
        "properties": {
            "ports": {
                "type": "array",
                "minItems": 1,
                "maxItems": 8,
                "description": "Network port of the host; several with `bond`.",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        "mac": { "type": "string", "examples": ["00:53:00:12:34:56"] },
                        "path": {
                            "type": "string",
                            "description": "udev's ID_PATH of a PCI device.",
                            "examples": ["pci-0000:03:00.0"],
                        },
                    },
                },
            },
            "bond": { "enum": ["active-backup", "802.3ad"] },
            "vlan": { "type": "integer", "minimum": 1, "maximum": 4094 },
            "mtu": { "type": "integer", "minimum": 576, "maximum": 9216 },
            "addresses": {
                "type": "array",
                "maxItems": 16,
                "items": { "type": "string", "examples": ["192.0.2.10/24"] },
                "description": "Addresses with prefix length.",
            },
            "gateways": {
                "type": "array",
                "maxItems": 2,
                "items": { "type": "string" },
                "description": "At most one per address family.",
            },
            "dns": texts("Addresses of name servers."),
            "search": texts("Search domains."),
            "ntp": texts("Names or addresses of time servers."),
        },
    })
});
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
