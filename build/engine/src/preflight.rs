// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the prerequisites of all steps before the first one starts, and reports everything that
//! is missing at once, each with its fix.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use foundation::emulation;

use crate::plan::Need;
use crate::run::Run;
use crate::step::Step;

/// A missing prerequisite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingNeed {
    /// The prerequisite.
    pub need: Need,
    /// The problem.
    pub problem: String,
    /// How to fix it.
    pub fix: String,
    /// The steps that need it.
    pub steps: Vec<&'static str>,
}

/// All missing prerequisites of `steps`.
pub fn check(
    run: &Run,
    steps: impl IntoIterator<Item = &'static dyn Step>,
) -> Result<Vec<MissingNeed>> {
    let mut users: BTreeMap<Need, Vec<&'static str>> = BTreeMap::new();
    for step in steps {
        for need in step.needs(run) {
            users.entry(need).or_default().push(step.name());
        }
    }
    let mut lacks = Vec::new();
    for (need, steps) in users {
        let fault = match need {
            Need::Tool(name) | Need::Test(name) => {
                run.tools.check(name).err().map(|it| (it.problem, it.fix))
            }
            Need::Space(bytes) => space(run, bytes)?,
            Need::Wanted(_) => None,
            Need::Runs(architecture) => emulation::find_fault(architecture),
        };
        if let Some((problem, fix)) = fault {
            lacks.push(MissingNeed { need, problem, fix, steps });
        }
    }
    Ok(lacks)
}

/// The problem and fix when `target` has fewer than `bytes` available.
fn space(run: &Run, bytes: u64) -> Result<Option<(String, String)>> {
    let root = run.workspace.root();
    let free = files::free_space(root)
        .with_context(|| format!("cannot determine the free space below {}", root.display()))?;
    if free >= bytes {
        return Ok(None);
    }
    let mib = |bytes: u64| bytes / (1 << 20);
    Ok(Some((
        format!("{} MiB free below {}, {} MiB needed", mib(free), root.display(), mib(bytes)),
        "run `cargo xtask clean`, or free disk space".to_owned(),
    )))
}
