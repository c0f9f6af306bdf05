// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The part of `release.toml` that gates read: thresholds, and exceptions with their reasons.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// `[gates]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// `[gates.secrets]`.
    pub secrets: Exceptions,
    /// `[gates.deadcode]`.
    pub deadcode: Exceptions,
    /// `[gates.layers]`.
    pub layers: Layers,
    /// `[gates.coverage]`.
    pub coverage: Coverage,
    /// `[gates.schema]`; without it there is no schema to look at.
    pub schema: Option<SchemaRules>,
    /// `[gates.licenses]`.
    pub licenses: Licenses,
    /// `[gates.audit]`.
    pub audit: Audit,
}

/// `[gates.layers]`: the order of the crates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layers {
    /// Folders of crates in rows, from the top: a crate depends on crates of lower rows alone.
    pub order: Vec<Vec<String>>,
    /// Exceptions, each with its reason.
    pub allow: Vec<Allowance>,
}

/// A gate whose findings can be excused one by one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exceptions {
    /// Each with its reason.
    pub allow: Vec<Allowance>,
}

/// A finding that is none, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// The file, from the root.
    pub file: String,
    /// The rule; any where it is absent.
    #[serde(default)]
    pub rule: Option<String>,
    /// A part of the message, such as the name of an item; any where it is absent.
    #[serde(default)]
    pub contains: Option<String>,
    /// Why it is no fault. Read by people.
    pub reason: String,
}

/// `[gates.coverage]`: the least share of lines that tests reach, in per cent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Coverage {
    /// Of everything together.
    pub whole: f64,
    /// Of the lines that a change adds.
    pub changed: f64,
    /// Of the files below a folder.
    pub parts: BTreeMap<String, f64>,
    /// What no test can run: it counts in the whole, and not among the lines of a change.
    pub untested: Vec<Untested>,
}

/// `[[gates.coverage.untested]]`: code that something else than the tests runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untested {
    /// The file, from the root.
    pub file: String,
    /// What runs it. Read by people.
    pub reason: String,
}

impl Coverage {
    /// Whether there is a threshold at all.
    pub fn is_set(&self) -> bool {
        self.parts.values().chain([&self.whole, &self.changed]).any(|least| *least > 0.0)
    }
}

/// `[gates.schema]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRules {
    /// The folder with one file `NAME-X.Y.schema.json` for each version.
    pub folder: String,
    /// The folder with representative recipes; those of the version before lie below it in a folder
    /// named after that version.
    pub recipes: String,
    /// The `OpenAPI` document of the HTTP API, whose changes count for the version as those of the schema do.
    #[serde(default)]
    pub api: Option<String>,
    /// Changes that refuse what was accepted, and are meant to.
    #[serde(default)]
    pub breaking: Vec<IntendedBreak>,
}

/// A change of a schema that refuses what was accepted, and why that is right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedBreak {
    /// The version of the schema that has the change, `X.Y`.
    pub schema: String,
    /// JSON pointer to it.
    pub pointer: String,
    /// Why it has to be. Read by people.
    pub reason: String,
}

/// `[gates.licenses]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Licenses {
    /// SPDX identifiers that are compatible with ours.
    pub allow: BTreeSet<String>,
    /// Crates whose manifest is silent or wrong: name to the expression that holds.
    pub clarify: BTreeMap<String, String>,
    /// `[gates.licenses.images]`.
    pub images: ImageLicenses,
}

/// `[gates.licenses.images]`: of the packages of images, which stand beside our programs and are not built into them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageLicenses {
    /// Licences that may stand there, as the locks write them; `*` at the end stands for any end.
    pub allow: BTreeSet<String>,
    /// Packages whose copyright file no program can read: name to the expression that holds.
    pub clarify: BTreeMap<String, String>,
}

/// `[gates.audit]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The Git repository of the advisories.
    pub database: String,
    /// For how many days a security update of a package in an image may wait, where no release is made.
    pub grace_days: u32,
    /// Advisories that we live with for a while.
    pub mitigation: Vec<Mitigation>,
}

/// An advisory that does not stop us, until a day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// `RUSTSEC-YYYY-NNNN` of a crate; `SOURCE@VERSION` of the security update that a package of an image lacks.
    pub id: String,
    /// Why it does not concern us, or what we do about it.
    pub reason: String,
    /// The first day on which it counts again, `YYYY-MM-DD`.
    #[serde(deserialize_with = "day")]
    pub expires: String,
}

/// A day as `YYYY-MM-DD`: in another form it would never be over, or always.
fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok() {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("{text:?} is not a day: write \"YYYY-MM-DD\"")))
}
