// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Validates the bytes of a recipe: its typed model, or all of its faults.

use serde_json::Value;

use crate::{
    contents::{ContentSummary, KsCfg, UnattendXml, UserData},
    fault::{Fault, ValidationError},
    model::{Recipe, TaskTarget},
    network::{Network, NetworkError, NetworkText},
    patterns,
    schema::{self, Schema},
    text::has_valid_registry_port,
    uri,
    version::{CURRENT, SchemaVersion},
    warning::{Warning, warnings},
};

/// Largest recipe in bytes of JSON. The three files of a recipe take up to 4.5 MiB if every
/// character is escaped, and a task ISO, which has each file twice, at most 10 MiB.
pub const MAX_RECIPE_BYTES: usize = 6 * 1024 * 1024;

/// An accepted recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The recipe in the form of the current schema.
    pub recipe: Recipe,
    /// The schema that accepted it.
    pub schema: SchemaVersion,
    /// Size and digest of the bytes that were validated.
    pub source: ContentSummary,
    /// Warnings.
    pub warnings: Vec<Warning>,
}

/// Validates a recipe against the current schema, then against the previous one. If neither accepts
/// it, the faults are those of the current one.
///
/// The schema counts characters (`maxLength`), this function bytes (`maxBytes`): files in a recipe
/// are limited in bytes of UTF-8.
pub fn validate(recipe: &[u8]) -> Result<Validated, ValidationError> {
    let parsed = Parsed::new(recipe)?;
    let mut first = None;
    for version in SchemaVersion::ALL {
        match parsed.validate_against(version) {
            Ok(validated) => return Ok(validated),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| unusable_error(CURRENT)))
}

/// Validates a recipe against one version of the schema.
pub fn validate_against(
    version: SchemaVersion,
    recipe: &[u8],
) -> Result<Validated, ValidationError> {
    Parsed::new(recipe)?.validate_against(version)
}

/// Validates a recipe against the schema that came with it, whose `$id` is that of `version`, and
/// against the published schema of that version: a site may require more, never less.
pub fn validate_with(
    schema: &Schema,
    version: SchemaVersion,
    recipe: &[u8],
) -> Result<Validated, ValidationError> {
    let parsed = Parsed::new(recipe)?;
    let mut faults = schema.validate(&parsed.value);
    let validated = parsed.validate_against(version);
    if let Err(error) = &validated {
        faults.extend(error.details.iter().cloned());
    }
    if faults.is_empty() { validated } else { Err(ValidationError::new(faults)) }
}

/// A recipe as JSON.
struct Parsed {
    value: Value,
    source: ContentSummary,
    /// Its faults under any schema.
    faults: Vec<Fault>,
}

impl Parsed {
    fn new(recipe: &[u8]) -> Result<Self, ValidationError> {
        if recipe.len() > MAX_RECIPE_BYTES {
            let message = format!("must have at most {MAX_RECIPE_BYTES} bytes");
            return Err(ValidationError::new(vec![Fault::new("", "maxBytes", message)]));
        }
        let (value, mut faults) = schema::parse(recipe).map_err(|error| {
            ValidationError::new(vec![Fault::new("", "json", format!("is not JSON: {error}"))])
        })?;
        faults.extend(unknown_target(&value));
        faults.extend(too_many_bytes(&value));
        faults.extend(unusable_addresses(&value));
        Ok(Self { value, source: ContentSummary::new(recipe), faults })
    }

    fn validate_against(&self, version: SchemaVersion) -> Result<Validated, ValidationError> {
        let schema = version.schema().ok_or_else(|| unusable_error(version))?;
        let mut faults = schema.validate(&self.value);
        faults.extend(self.faults.iter().cloned());
        if faults.is_empty() {
            faults.extend(network(&self.value));
        }
        if !faults.is_empty() {
            return Err(ValidationError::new(faults));
        }
        let mut value = self.value.clone();
        version.upgrade(&mut value);
        // Tests compare schema and model; this reports it if they differ. The error of serde is
        // omitted: it could repeat a value.
        let recipe: Recipe = serde_json::from_value(value).map_err(|_| {
            let message = format!("matches schema {} but not the typed model", version.id);
            ValidationError::new(vec![Fault::new("", "model", message)])
        })?;
        if !version.has_target(&recipe.task_target) {
            let message = format!("is unknown to schema {}", version.id);
            return Err(ValidationError::new(vec![Fault::new("/task_target", "enum", message)]));
        }
        let warnings = warnings(&recipe);
        Ok(Validated { recipe, schema: version, source: self.source.clone(), warnings })
    }
}

/// The published schemas allow any target name. Another target would make the dispatcher start any
/// unit of the image, such as `poweroff.target`. A malformed name violates the schema's pattern and
/// is not reported twice.
fn unknown_target(recipe: &Value) -> Option<Fault> {
    let target = recipe.get("task_target")?.as_str()?;
    let has_form = patterns::matches(patterns::TASK_TARGET, target);
    (has_form && target.parse::<TaskTarget>().is_err()).then(|| {
        let known = TaskTarget::KNOWN.map(|known| known.as_str()).join(", ");
        Fault::new("/task_target", "enum", format!("must be one of {known}"))
    })
}

/// URLs and references that match the schema but are unusable: the published patterns allow any
/// port and any scheme.
fn unusable_addresses(recipe: &Value) -> impl Iterator<Item = Fault> {
    let text = |field: &str| recipe.get(field)?.as_str();
    let image = text("oci_url").is_some_and(|text| {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        patterns::matches(patterns::OCI_REFERENCE, text) && !has_valid_registry_port(text)
    });
    let firmware =
        text("firmware_url").is_some_and(|text| uri::is_uri(text) && !uri::is_http(text));
    let port = "must have a port from 1 to 65535";
    let url = "must be an http or https URL, with a port from 1 to 65535 if it has one";
    [(image, "/oci_url", port), (firmware, "/firmware_url", url)]
        .into_iter()
        .filter(|(is_unusable, _, _)| *is_unusable)
        .map(|(_, path, message)| Fault::new(path, "format", message.to_owned()))
}

/// Faults of a network that matches the schema but has inconsistent values.
fn network(recipe: &Value) -> Vec<Fault> {
    let Some(network) = recipe.get("network") else { return Vec::new() };
    match serde_json::from_value::<NetworkText>(network.clone()) {
        Ok(text) => match Network::try_from(text) {
            Ok(_) => Vec::new(),
            Err(error) => error.into_faults("/network"),
        },
        Err(error) => NetworkError::from(error).into_faults("/network"),
    }
}

/// The limits in bytes, for which JSON Schema has no keyword.
fn too_many_bytes(recipe: &Value) -> impl Iterator<Item = Fault> {
    let limits = [
        ("user_data", UserData::MAX_BYTES),
        ("unattend_xml", UnattendXml::MAX_BYTES),
        ("ks_cfg", KsCfg::MAX_BYTES),
    ];
    limits.into_iter().filter_map(|(field, limit)| {
        let text = recipe.get(field)?.as_str()?;
        (text.len() > limit).then(|| {
            let message = format!("must have at most {limit} bytes of UTF-8");
            Fault::new(format!("/{field}"), "maxBytes", message)
        })
    })
}

/// The built-in schema is unusable, which a test excludes.
fn unusable_error(version: SchemaVersion) -> ValidationError {
    let message = format!("could not be validated: schema {} does not compile", version.id);
    ValidationError::new(vec![Fault::new("", "schema", message)])
}
