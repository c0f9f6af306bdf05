// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `--registry` of the commands about channels.

use anyhow::Result;
use engine::Run;
use foundation::command::Command;
use programs::target;

#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArguments {
    /// Registry: NAME of [registry.NAME] in release.toml, or HOST/PREFIX
    #[arg(long, value_name = "NAME|HOST/PREFIX")]
    registry: String,
}

impl RegistryArguments {
    /// The registry as given.
    pub(crate) fn name(&self) -> &str {
        &self.registry
    }

    /// `call` of `notary`, with the registry and what is needed to reach it.
    pub(crate) fn add_to(&self, run: &Run, call: Command) -> Result<Command> {
        let target = target::target(run, &self.registry)?;
        let call = call.args(["--registry", &target.namespace.with_scheme()]);
        Ok(target.add_access(call))
    }
}
