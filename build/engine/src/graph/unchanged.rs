// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Skips gates whose inputs are unchanged since they last passed.
//!
//! One file per gate below `target/xtask/unchanged` holds the key of that run: a digest of
//! everything that decides the result (content of the plan's inputs, versions of programs,
//! inherited environment, options, xtask itself). An input that cannot be part of the key, such as
//! the manifest of a release, makes a gate run every time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use foundation::{atomic, checksum, tree};
use serde::{Deserialize, Serialize};

use super::Stage;
use super::report::{Row, Verdict};
use crate::plan::{Input, Need, Plan};
use crate::run::Run;
use crate::step::Step;

/// Record of a passed gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PassedGate {
    /// Key of the run.
    key: String,
    /// Fact for the table.
    fact: String,
    /// Time of the run, RFC 3339 in UTC.
    since: String,
    /// Digest of its outputs; see [`tree::digest`].
    wrote: String,
}

/// Key and outputs of a gate.
#[derive(Debug)]
pub(super) struct Key {
    /// Digest of everything that decides the result.
    digest: String,
    /// The gate's outputs.
    writes: Vec<PathBuf>,
}

/// Keys of the gates among `stages`, by index. A gate without a key always runs.
pub(super) fn keys(stages: &[Stage], run: &Run) -> Result<BTreeMap<usize, Key>> {
    let shared = SharedKeyParts::new(run)?;
    let mut keys = BTreeMap::new();
    for (node, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.step.is_gate()) {
        // A plan that fails is reported when the gate runs.
        if let Ok(plan) = stage.step.plan(run)
            && let Some(digest) = shared.key(stage.step, &plan, run)?
        {
            keys.insert(node, Key { digest, writes: plan.writes });
        }
    }
    Ok(keys)
}

/// Gates that passed with the same key, each with its fact and time.
pub(super) fn find_passed(
    stages: &[Stage],
    keys: &BTreeMap<usize, Key>,
    run: &Run,
) -> BTreeMap<usize, Verdict> {
    let mut found = BTreeMap::new();
    for (node, key) in keys {
        let Some(stage) = stages.get(*node) else { continue };
        let Some(passed) = read(&place(run, stage.step)) else { continue };
        let intact = || digest_outputs(key, run).is_ok_and(|it| it == passed.wrote);
        if passed.key == key.digest && intact() {
            let verdict = Verdict::Unchanged { fact: passed.fact, since: passed.since };
            found.insert(*node, verdict);
        }
    }
    found
}

/// Records the gates that passed. A gate whose inputs changed during the run (its key is no longer
/// in `keys`) may have seen either state and is not recorded.
pub(super) fn remember(
    stages: &[Stage],
    keys: &BTreeMap<usize, Key>,
    rows: &[Row],
    run: &Run,
) -> Result<()> {
    let good = |row: &Row| matches!(row.verdict, Verdict::Done { .. });
    if !rows.iter().any(good) {
        return Ok(());
    }
    run.workspace.look_again();
    let now = self::keys(stages, run)?;
    for (node, (stage, row)) in stages.iter().zip(rows).enumerate() {
        let (Some(key), true) = (keys.get(&node), good(row)) else { continue };
        if now.get(&node).is_none_or(|it| it.digest != key.digest) {
            continue;
        }
        let passed = PassedGate {
            key: key.digest.clone(),
            fact: row.verdict.fact(),
            since: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            wrote: digest_outputs(key, run)?,
        };
        atomic::write(&place(run, stage.step), &serde_json::to_vec(&passed)?)?;
    }
    Ok(())
}

fn place(run: &Run, step: &dyn Step) -> PathBuf {
    run.workspace.scratch().join("unchanged").join(step.name()).with_extension("json")
}

/// Reads a record; `None` if absent or malformed.
fn read(path: &Path) -> Option<PassedGate> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn digest_outputs(key: &Key, run: &Run) -> Result<String> {
    tree::digest(run.workspace.root(), key.writes.iter().map(AsRef::as_ref))
}

/// Key parts shared by all gates, read once.
struct SharedKeyParts {
    /// Path of each source file, with a digest of its name, kind and content.
    source: BTreeMap<String, String>,
    /// Facts that decide the results of all gates.
    shared: Vec<(String, String)>,
}

impl SharedKeyParts {
    fn new(run: &Run) -> Result<Self> {
        let root = run.workspace.root();
        let mut source = BTreeMap::new();
        for path in run.workspace.paths()?.iter() {
            let digest = tree::digest(root, [Path::new(path)])?;
            source.insert(path.clone(), digest);
        }
        let (own, _) = checksum::sha256(Path::new("/proc/self/exe"))
            .context("cannot read the running program")?;
        let shared = [
            ("xtask", own),
            ("root", root.display().to_string()),
            ("options", run.options.identity()),
            ("environment", run.tools.environment()),
        ];
        let shared = shared.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { source, shared })
    }

    /// The key of `step`; `None` when an input cannot be part of a key.
    fn key(&self, step: &dyn Step, plan: &Plan, run: &Run) -> Result<Option<String>> {
        let mut facts = self.shared.clone();
        facts.push(("gate".to_owned(), step.name().to_owned()));
        for need in step.needs(run) {
            if let Need::Tool(name) | Need::Wanted(name) | Need::Test(name) = need {
                facts.push((format!("tool {name}"), run.tools.identity(name)));
            }
        }
        for input in &plan.reads {
            match input {
                Input::Source(folder) => {
                    let files =
                        self.source.iter().filter(|(path, _)| Path::new(path).starts_with(folder));
                    facts.push((format!("source {}", folder.display()), digest(files)?));
                }
                Input::Path(path) => {
                    let content = tree::digest(run.workspace.root(), [path.as_path()])?;
                    facts.push((format!("path {}", path.display()), content));
                }
                Input::Tool(name) => facts.push((format!("tool {name}"), run.tools.identity(name))),
                Input::Env(name) => {
                    let value = std::env::var_os(name).unwrap_or_default();
                    let set = std::env::var_os(name).is_some();
                    let value = tree::digest_of_bytes(value.as_encoded_bytes());
                    facts.push((format!("variable {name}"), format!("{set} {value}")));
                }
                Input::Fact(name, value) => facts.push(((*name).to_owned(), value.clone())),
                Input::Day => {
                    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
                    facts.push(("day".to_owned(), now.chars().take(10).collect()));
                }
                Input::Manifest => return Ok(None),
            }
        }
        facts.sort();
        facts.dedup();
        Ok(Some(tree::digest_of_bytes(&serde_json::to_vec(&facts)?)))
    }
}

fn digest<'a>(files: impl Iterator<Item = (&'a String, &'a String)>) -> Result<String> {
    Ok(tree::digest_of_bytes(&serde_json::to_vec(&files.collect::<Vec<_>>())?))
}
