// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: recipes that were valid stay valid.
//!
//! - Breaking changes from the previous schema to the current one are recorded in `release.toml`,
//!   with reasons.
//! - Representative recipes of both schemas are validated against both.
//! - A released schema does not change, and the workspace's version matches the class of changes
//!   since the last release.
//!
//! Rejection of invalid recipes is tested in the crate `recipe`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::semver::Version;
use changes::{Bump, next_version};
use engine::workspace::SchemaRules;
use engine::{Description, Gap, Input, Judgement, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::git;
use foundation::source::{self, File};
use rules::jsonschema;
use rules::schema::{self, Change, Class, SUFFIX, file_version};
use serde_json::Value;

/// `cargo xtask schema`.
pub struct Schema;

impl Step for Schema {
    fn describe(&self) -> Description {
        Description::gate(
            "schema",
            "validate recipes, and check schema changes against the version",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("check-jsonschema")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .native("compare the schema with the previous one, and both with the last release")
            .reads(Input::Source(PathBuf::from("Cargo.toml")))
            .reads(Input::Source(PathBuf::from("release.toml")))
            .reads(Input::Fact(
                "the last release",
                run.workspace.last_release()?.unwrap_or_default(),
            ));
        let Some(rules) = &run.workspace.product().gates.schema else { return Ok(plan) };
        let plan = plan
            .reads(Input::Source(PathBuf::from(&rules.folder)))
            .reads(Input::Source(PathBuf::from(&rules.recipes)));
        let versions = Versions::read(run, rules)?;
        let recipes = recipes(run, rules, &versions)?;
        let both = [Some(&versions.current), versions.previous.as_ref()];
        let commands = both.into_iter().flatten().map(|it| check(run, &it.file.path, &recipes));
        Ok(commands.fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let Some(rules) = &run.workspace.product().gates.schema else {
            let why = "release.toml names no schemas".to_owned();
            return Ok(Outcome::Skipped(Skip::NotApplicable { why }));
        };
        let versions = Versions::read(run, rules)?;
        let recipes = recipes(run, rules, &versions)?;
        let changes = versions.changes();
        let mut findings = find_unrecorded(rules, &versions, &changes);
        findings.extend(check_recipes(run, log, &versions, &recipes, &changes)?);
        let mut gaps = Vec::new();
        if let Some(tag) = run.workspace.last_release()? {
            findings.extend(since_release(run, rules, &versions, &tag)?);
        } else if git::is_shallow(run.workspace.root())? {
            let problem = "changes since the last release not checked: the clone is shallow and has no release tag";
            gaps.push(Gap { problem: problem.to_owned(), fix: git::UNSHALLOW.to_owned() });
        }
        findings.sort();
        let fact = format!("{}, {} recipes", versions.text(&changes), recipes.len());
        Ok(Outcome::Judged(Judgement { fact, findings, gaps, expected: false }))
    }
}

/// A schema.
#[derive(Debug)]
struct Versioned {
    /// `X.Y` as numbers.
    version: (u64, u64),
    file: File,
    value: Value,
}

/// The current schema and the previous one.
#[derive(Debug)]
struct Versions {
    current: Versioned,
    previous: Option<Versioned>,
}

/// A recipe with its schema version.
#[derive(Debug)]
struct Recipe {
    path: String,
    version: (u64, u64),
}

impl Versioned {
    fn new(file: File) -> Result<Self> {
        let version = file_version(&file.path).with_context(|| {
            format!("{}: a schema is named NAME-X.Y{SUFFIX}, after its version", file.path)
        })?;
        let value = serde_json::from_str(&file.text)
            .with_context(|| format!("{} is not JSON", file.path))?;
        Ok(Self { version, file, value })
    }

    fn name(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }
}

impl Versions {
    fn read(run: &Run, rules: &SchemaRules) -> Result<Self> {
        let files = run
            .workspace
            .texts(|path| path.starts_with(&rules.folder) && path.ends_with(SUFFIX))?;
        let mut schemas = files.into_iter().map(Versioned::new).collect::<Result<Vec<_>>>()?;
        schemas.sort_by_key(|schema| schema.version);
        let Some(current) = schemas.pop() else {
            bail!("[gates.schema] in release.toml: no schema in {}", rules.folder);
        };
        Ok(Self { current, previous: schemas.pop() })
    }

    /// Changes from the previous schema to the current one.
    fn changes(&self) -> Vec<Change> {
        let previous = self.previous.as_ref();
        previous.map_or_else(Vec::new, |it| schema::changes(&it.value, &self.current.value))
    }

    fn text(&self, changes: &[Change]) -> String {
        match &self.previous {
            Some(previous) => {
                let class = match schema::class(changes) {
                    Class::None => "no change",
                    Class::Compatible => "compatible",
                    Class::Breaking => "breaking as recorded",
                };
                format!("{} to {} is {class}", previous.name(), self.current.name())
            }
            None => self.current.name(),
        }
    }
}

/// Representative recipes: those of the current schema, and in a folder named after its version
/// those of the previous one.
fn recipes(run: &Run, rules: &SchemaRules, versions: &Versions) -> Result<Vec<Recipe>> {
    let files = run
        .workspace
        .texts(|path| path.starts_with(&rules.recipes) && source::has_extension(path, "json"))?;
    let previous = versions.previous.as_ref();
    let old = previous.map(|it| (format!("{}/{}/", rules.recipes, it.name()), it.version));
    Ok(files
        .into_iter()
        .map(|file| {
            let version = old.as_ref().filter(|(folder, _)| file.path.starts_with(folder));
            Recipe {
                version: version.map_or(versions.current.version, |(_, version)| *version),
                path: file.path,
            }
        })
        .collect())
}

fn check(run: &Run, schema: &str, recipes: &[Recipe]) -> Command {
    run.command("check-jsonschema")
        .args(["--output-format", "json", "--schemafile", schema, "--"])
        .args(recipes.iter().map(|recipe| &recipe.path))
}

/// Unrecorded breaking changes, and records of changes that do not exist.
fn find_unrecorded(rules: &SchemaRules, versions: &Versions, changes: &[Change]) -> Vec<Finding> {
    let current = versions.current.name();
    let breaking = || changes.iter().filter(|it| it.class == Class::Breaking);
    let recorded = |pointer: &str| {
        rules.breaking.iter().any(|it| it.schema == current && it.pointer == pointer)
    };
    let file = &versions.current.file;
    let missing = breaking().filter(|it| !recorded(&it.pointer)).map(|change| {
        let line = schema::line(&file.text, &change.pointer);
        let message =
            format!("{} may reject documents that the previous schema accepted", change.pointer);
        let fix = "revert the change, or add it with a reason to [[gates.schema.breaking]] in \
                    release.toml and give the schema a new version";
        Finding::at(&file.path, line, "breaking", message, fix)
    });
    let stale = rules.breaking.iter().filter(|it| {
        it.schema == current && !breaking().any(|change| change.pointer == it.pointer)
    });
    let stale = stale.map(|it| {
        let message = format!("[[gates.schema.breaking]] {}: no such change", it.pointer);
        Finding::in_file("release.toml", "stale-breaking", message, "remove the entry")
    });
    missing.chain(stale).collect()
}

/// Invalid recipes: against their own schema, and against the other one unless a change explains
/// it.
fn check_recipes(
    run: &Run,
    log: &StepLog,
    versions: &Versions,
    recipes: &[Recipe],
    changes: &[Change],
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for schema in [Some(&versions.current), versions.previous.as_ref()].into_iter().flatten() {
        let report = run.attempt(log, &check(run, &schema.file.path, recipes))?;
        let report = jsonschema::read(report.stdout())?;
        for fault in report.errors {
            let own =
                recipes.iter().any(|it| it.path == fault.filename && it.version == schema.version);
            if own || !is_explained(&fault, changes) {
                let message = format!(
                    "the schema {} rejects it at {}: {}",
                    schema.name(),
                    fault.path,
                    fault.message
                );
                let fix = "correct the recipe, or the schema if the recipe is valid";
                findings.push(Finding::in_file(fault.filename, "refused", message, fix));
            }
        }
        findings.extend(
            report
                .parse_errors
                .into_iter()
                .map(|it| Finding::in_file(it.filename, "json", it.message, "correct the JSON")),
        );
    }
    Ok(findings)
}

/// Whether a fault is at, or names, a property that changed between the schemas.
fn is_explained(fault: &jsonschema::Fault, changes: &[Change]) -> bool {
    let names = changes.iter().filter_map(|change| {
        let mut steps = change.pointer.split('/');
        steps.find(|step| *step == "properties")?;
        steps.next()
    });
    let named = |name: &str| {
        let at = fault.path.strip_prefix("$.").unwrap_or_default();
        at.split(['.', '[']).any(|step| step == name)
            || fault.message.contains(&format!("'{name}'"))
    };
    names.into_iter().any(named)
}

/// Modified released schemas, and a workspace version that does not match the changes.
fn since_release(
    run: &Run,
    rules: &SchemaRules,
    versions: &Versions,
    tag: &str,
) -> Result<Vec<Finding>> {
    let root = run.workspace.root();
    let mut findings = Vec::new();
    for schema in [Some(&versions.current), versions.previous.as_ref()].into_iter().flatten() {
        let file = &schema.file;
        if git::show(root, tag, &file.path)?
            .is_some_and(|old| old.trim_end() != file.text.trim_end())
        {
            let message = format!("{tag} was released with another {}", schema.name());
            let fix = "restore it, and add a new file with a new version and $id";
            findings.push(Finding::in_file(&file.path, "released", message, fix));
        }
    }
    let old = git::list(root, tag, &rules.folder)?;
    let newest = old.iter().filter_map(|path| Some((file_version(path)?, path))).max();
    let Some((_, path)) = newest else { return Ok(findings) };
    let old = git::show(root, tag, path)?.with_context(|| format!("{tag} has no {path}"))?;
    let old = serde_json::from_str(&old).with_context(|| format!("{path} of {tag} is not JSON"))?;
    let class = schema::class(&schema::changes(&old, &versions.current.value));
    let released = tag.trim_start_matches('v');
    let released =
        Version::parse(released).with_context(|| format!("the tag {tag} is not a version"))?;
    let own = Version::parse(run.version().text()).context("the version of this build")?;
    let own = Version::new(own.major, own.minor, own.patch);
    let bump = match class {
        Class::None => Bump::None,
        Class::Compatible => Bump::Minor,
        Class::Breaking => Bump::Major,
    };
    let least = next_version(&released, bump);
    if own < least {
        let text =
            std::fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
        let line = text.lines().position(|line| line.starts_with("version")).map(|it| it + 1);
        let what = if class == Class::Breaking { "in a breaking way" } else { "compatibly" };
        let message = format!(
            "the schema changed {what} since {tag}: the next version is {least} or higher, not {own}"
        );
        let fix = format!("set version = \"{least}\" in [workspace.package]");
        findings.push(Finding { line, ..Finding::in_file("Cargo.toml", "version", message, fix) });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_after_its_version() {
        assert_eq!(file_version("a/recipe-1.10.schema.json"), Some((1, 10)));
        assert_eq!(file_version("a/recipe.schema.json"), None);
        assert_eq!(file_version("a/recipe-1.schema.json"), None);
    }

    #[test]
    fn only_what_changed_explains_a_fault() {
        let change = |pointer: &str| Change {
            pointer: pointer.to_owned(),
            class: Class::Breaking,
            what: String::new(),
        };
        let fault = |path: &str, message: &str| jsonschema::Fault {
            filename: "a.json".to_owned(),
            path: path.to_owned(),
            message: message.to_owned(),
        };
        let changes = [change("/properties/oci_url/pattern"), change("/required")];
        assert!(is_explained(&fault("$.oci_url", "does not match"), &changes));
        assert!(is_explained(&fault("$", "('oci_url' was unexpected)"), &changes));
        assert!(!is_explained(&fault("$.oci_url2", "does not match"), &changes));
        assert!(!is_explained(&fault("$", "'target' is required"), &changes));
    }
}
