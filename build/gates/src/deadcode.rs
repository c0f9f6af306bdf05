// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: no unused public item, and no unused dependency.

use std::path::PathBuf;

use anyhow::Result;
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog, allowed};
use foundation::source;
use rules::{deadcode, dependencies};

/// `cargo xtask deadcode`.
pub struct Deadcode;

impl Step for Deadcode {
    fn describe(&self) -> Description {
        Description::gate("deadcode", "find unused public items and dependencies")
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("find public items and dependencies that no code names")
            .reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let rust = run.workspace.texts(|path| source::has_extension(path, "rs"))?;
        let manifests = run.workspace.texts(|path| path.ends_with("Cargo.toml"))?;
        log.note(&format!("{} files, {} manifests", rust.len(), manifests.len()));
        let mut findings = deadcode::find_unused_items(&rust)?;
        findings.extend(dependencies::find_unused(&manifests, &rust)?);
        let allowances = &run.workspace.product().gates.deadcode.allow;
        Ok(allowed::judge("deadcode", &findings, allowances, format!("{} files", rust.len())))
    }
}
