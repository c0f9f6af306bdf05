// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: crates depend on lower layers only, and files of a crate have no import cycles.

use std::path::PathBuf;

use anyhow::Result;
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog, allowed};
use foundation::source;
use rules::{imports, layers};

/// `cargo xtask layers`.
pub struct Layers;

impl Step for Layers {
    fn describe(&self) -> Description {
        Description::gate("layers", "check the layers of crates, and find import cycles")
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("compare dependencies with [gates.layers], and find import cycles")
            .reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let rust = run.workspace.texts(|path| source::has_extension(path, "rs"))?;
        let manifests = run.workspace.texts(|path| path.ends_with("Cargo.toml"))?;
        let gate = &run.workspace.product().gates.layers;
        let members = layers::members(&manifests)?;
        log.note(&format!("{} crates, {} files", members.len(), rust.len()));
        let mut findings = Vec::new();
        // Without declared layers there is nothing to check.
        if !gate.order.is_empty() {
            findings.extend(layers::find_upward(&gate.order, &manifests)?);
        }
        let folders: Vec<_> = members.iter().map(String::as_str).collect();
        findings.extend(imports::find_cycles(&folders, &rust));
        let fact = format!("{} crates, {} files", members.len(), rust.len());
        Ok(allowed::judge("layers", &findings, &gate.allow, fact))
    }
}
