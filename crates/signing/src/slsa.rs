// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The predicate "this is how it was built" (SLSA specification 1.0, "Provenance", predicate v1).
//!
//! Only the fields that are written here are known; a document with any other is refused, because a
//! verifier must not pass over a parameter that it does not understand (SLSA 1.0, "Verifying artifacts").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The predicate. `P` is the form of `externalParameters`, which the build type defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provenance<P> {
    /// What was asked for, and what went in.
    pub build_definition: BuildDefinition<P>,
    /// Who did it.
    pub run_details: RunDetails,
}

/// What was asked for, and what went in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuildDefinition<P> {
    /// URI that says how to read the parameters.
    pub build_type: String,
    /// What the one who asked for the build decided.
    pub external_parameters: P,
    /// What the builder decided.
    #[serde(default)]
    pub internal_parameters: Map<String, Value>,
    /// Inputs with their digests.
    #[serde(default)]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDescriptor {
    /// Where it is from.
    pub uri: String,
    /// Algorithm to lower-case hex.
    pub digest: BTreeMap<String, String>,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDetails {
    /// The system that is trusted to have built what the parameters say.
    pub builder: Builder,
}

/// The system that built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// URI that stands for its trustworthiness.
    pub id: String,
}
