// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `[gates]` of `release.toml`: thresholds, and exceptions with their reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    /// `[gates.commits]`.
    pub commits: CommitRules,
    /// `[gates.coverage]`.
    pub coverage: Coverage,
    /// `[gates.schema]`; without it there is no schema to look at.
    pub schema: Option<SchemaRules>,
    /// `[gates.licenses]`.
    pub licenses: Licenses,
    /// `[gates.audit]`.
    pub audit: Audit,
    /// `[gates.docs]`.
    pub docs: Documentation,
}

/// `[gates.docs]`: what is checked of the documentation beside its links.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Documentation {
    /// The folder of a Vale style, whose rules all prose and comments follow.
    pub style: Option<PathBuf>,
    /// The folder of an mdBook.
    pub book: Option<PathBuf>,
    /// The page, from the root, that includes the recorded help texts of every program.
    pub commands: Option<String>,
    /// The events of a job, from the root, which are drawn beside it as SVG.
    pub timeline: Option<String>,
    /// Exceptions, each with its reason.
    pub allow: Vec<Allowance>,
}

/// `[gates.layers]`: the layers of crates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layers {
    /// Folders of crates by layer, top first: a crate may only depend on crates of lower layers.
    pub order: Vec<Vec<String>>,
    /// Exceptions with reasons.
    pub allow: Vec<Allowance>,
}

/// Allowlist of a gate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exceptions {
    /// Entries with reasons.
    pub allow: Vec<Allowance>,
}

/// An allowed finding, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// File path from the root.
    pub file: String,
    /// Rule; any if absent.
    pub rule: Option<String>,
    /// Substring of the message, such as the name of an item; any if absent.
    pub contains: Option<String>,
    /// The reason, for readers.
    pub reason: String,
}

/// `[gates.commits]`: accepted commit messages.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommitRules {
    /// Commits whose message is accepted as it is.
    pub allow: Vec<AllowedCommit>,
}

/// `[[gates.commits.allow]]`: a commit that cannot be changed, as others build on it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedCommit {
    /// Full id.
    pub commit: String,
    /// The reason, for readers.
    pub reason: String,
}

/// `[gates.coverage]`: minimum line coverage in per cent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Coverage {
    /// Minimum for the whole workspace.
    pub whole: f64,
    /// Minimum for the lines that a change adds.
    pub changed: f64,
    /// Minimum by folder.
    pub parts: BTreeMap<String, f64>,
    /// Code that tests cannot run: it counts in the whole, but not among the lines of a change.
    pub untested: Vec<Untested>,
}

/// `[[gates.coverage.untested]]`: code that runs outside of tests only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untested {
    /// File path from the root.
    pub file: String,
    /// The test that runs it.
    pub reason: String,
}

impl Coverage {
    /// Whether any threshold is set.
    pub fn is_set(&self) -> bool {
        self.parts.values().chain([&self.whole, &self.changed]).any(|least| *least > 0.0)
    }
}

/// `[gates.schema]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRules {
    /// Folder with one file `NAME-X.Y.schema.json` per version.
    pub folder: String,
    /// Folder with representative recipes; those of the previous version are in a subfolder named
    /// after that version.
    pub recipes: String,
    /// The `OpenAPI` document of the HTTP API; its changes affect the version like changes of the
    /// schema.
    pub api: Option<String>,
    /// Intended breaking changes.
    #[serde(default)]
    pub breaking: Vec<IntendedBreak>,
}

/// An intended breaking change of a schema, with its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedBreak {
    /// Version of the schema with the change, `X.Y`.
    pub schema: String,
    /// JSON pointer to the change.
    pub pointer: String,
    /// The reason, for readers.
    pub reason: String,
}

/// `[gates.licenses]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Licenses {
    /// SPDX identifiers that are compatible with ours.
    pub allow: BTreeSet<String>,
    /// Licence expressions of crates whose manifest has none or a wrong one, by crate.
    pub clarify: BTreeMap<String, String>,
    /// `[gates.licenses.images]`.
    pub images: ImageLicenses,
}

/// `[gates.licenses.images]`: licences of packages in images, which are aggregated with our
/// programs and not linked to them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageLicenses {
    /// Allowed licences as written in the locks; a trailing `*` is a wildcard.
    pub allow: BTreeSet<String>,
    /// Licence expressions of packages with an unparsable copyright file, by package.
    pub clarify: BTreeMap<String, String>,
}

/// `[gates.audit]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Git repository of the advisories.
    pub database: String,
    /// Grace period in days for missing security updates of packages in images, outside of
    /// releases.
    pub grace_days: u32,
    /// Accepted advisories.
    pub mitigation: Vec<Mitigation>,
}

/// An advisory that is accepted until a day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// `RUSTSEC-YYYY-NNNN` for a crate; `SOURCE@VERSION` of the missing security update for a
    /// package in an image.
    pub id: String,
    /// Why it does not apply, or the mitigation.
    pub reason: String,
    /// First day on which it counts again, `YYYY-MM-DD`.
    #[serde(deserialize_with = "day")]
    pub expires: String,
    /// Why the product is not affected, for the `OpenVEX` document; without it, the product is
    /// affected, and `reason` is the mitigation.
    pub justification: Option<Justification>,
    /// Other ids of the advisory; for a security update, the vulnerabilities that it fixes.
    #[serde(default)]
    pub vulnerabilities: Vec<String>,
}

/// Why a product is not affected by a vulnerability (`OpenVEX` specification, "Status
/// Justifications").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// The component is not in the product.
    ComponentNotPresent,
    /// The component is built without the vulnerable code.
    VulnerableCodeNotPresent,
    /// The vulnerable code is never executed.
    VulnerableCodeNotInExecutePath,
    /// An attacker cannot control the vulnerable code.
    VulnerableCodeCannotBeControlledByAdversary,
    /// The product has a built-in protection.
    InlineMitigationsAlreadyExist,
}

impl Justification {
    /// Its label in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::VulnerableCodeNotPresent => "vulnerable_code_not_present",
            Self::VulnerableCodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::VulnerableCodeCannotBeControlledByAdversary => {
                "vulnerable_code_cannot_be_controlled_by_adversary"
            }
            Self::InlineMitigationsAlreadyExist => "inline_mitigations_already_exist",
        }
    }
}

/// Validates `YYYY-MM-DD`: dates are compared as text.
fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok() {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("{text:?} is not a date: write \"YYYY-MM-DD\"")))
}
