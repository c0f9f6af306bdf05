// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SLSA provenance (SLSA specification 1.0, "Provenance", predicate v1).
//!
//! Unknown fields are rejected: a verifier must not ignore a parameter that it does not understand
//! (SLSA 1.0, "Verifying artifacts").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The predicate. `P` is the type of `externalParameters`, which the build type defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provenance<P> {
    /// Parameters and inputs of the build.
    pub build_definition: BuildDefinition<P>,
    /// The builder.
    pub run_details: RunDetails,
}

/// Parameters and inputs of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuildDefinition<P> {
    /// URI that defines the meaning of the parameters.
    pub build_type: String,
    /// Parameters set by the requester of the build.
    pub external_parameters: P,
    /// Parameters set by the builder.
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
    /// URI of the input.
    pub uri: String,
    /// Algorithm to lower-case hex.
    pub digest: BTreeMap<String, String>,
}

/// The builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDetails {
    /// The build system that is trusted to have followed the parameters.
    pub builder: Builder,
}

/// The build system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// URI that identifies the build system and its trust level.
    pub id: String,
}
