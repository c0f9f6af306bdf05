// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask retention`: `notary retention` with the rules of `release.toml`.

use engine::Run;
use foundation::command::Command;
use programs::notary;
use release::test_artifacts::NAMESPACE;

use crate::registry_arguments::RegistryArguments;

/// Arguments of `retention`.
#[derive(Debug, clap::Args)]
#[group(id = "mode", required = true, multiple = false, args = ["plan", "apply"])]
pub(crate) struct RetentionArguments {
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
    /// Print what would be deleted
    #[arg(long)]
    plan: bool,
    /// Delete it
    #[arg(long)]
    apply: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

/// The test systems, which are in no release.
const TEST_SYSTEMS: [&str; 2] = ["linux", "windows"];

impl RetentionArguments {
    /// The call of `notary` without the registry.
    pub(crate) fn call(&self, run: &Run) -> Command {
        let call = call(run, self.apply);
        if self.json { call.arg("--json") } else { call }
    }
}

/// `notary retention` with the rules and repositories of `release.toml`, without the registry.
pub(crate) fn call(run: &Run, apply: bool) -> Command {
    let product = run.workspace.product();
    let call = notary::call(run, "retention").arg(if apply { "--apply" } else { "--plan" });
    let images = product.images.iter().map(|it| it.name.clone());
    let tests = TEST_SYSTEMS.iter().map(|it| format!("{NAMESPACE}/{it}"));
    let call = images.chain(tests).fold(call, |call, it| call.args(["--repository", &it]));
    let rules = product.retention.options();
    rules.iter().fold(call, |call, (name, value)| call.args([*name, &value.to_string()]))
}
