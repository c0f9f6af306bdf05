// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What has to be there before the first step starts: all that is missing at once, each with its
//! fix.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use foundation::emulation;

use crate::plan::Need;
use crate::run::Run;
use crate::step::Step;

/// Something that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What.
    pub need: Need,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
    /// The steps that need it.
    pub steps: Vec<&'static str>,
}

/// Everything that `steps` can't do without and that is missing.
///
/// # Errors
/// When the disk can't be asked for its space.
pub fn check(run: &Run, steps: impl IntoIterator<Item = &'static dyn Step>) -> Result<Vec<Lack>> {
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
            Need::Runs(architecture) => emulation::fault(architecture),
        };
        if let Some((problem, fix)) = fault {
            lacks.push(Lack { need, problem, fix, steps });
        }
    }
    Ok(lacks)
}

/// The fault when the disk with `target` has fewer than `bytes` left for us.
fn space(run: &Run, bytes: u64) -> Result<Option<(String, String)>> {
    let root = run.workspace.root();
    let disk = rustix::fs::statvfs(root)
        .with_context(|| format!("cannot ask for the space below {}", root.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= bytes {
        return Ok(None);
    }
    let mib = |bytes: u64| bytes / (1 << 20);
    Ok(Some((
        format!("{} MiB are free below {}, {} are needed", mib(free), root.display(), mib(bytes)),
        "cargo xtask clean, or make room on that disk".to_owned(),
    )))
}
