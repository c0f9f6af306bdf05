// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the programs that later steps run, while other steps wait for disk or network, so that
//! signing and packaging do not wait for the compiler.

use anyhow::Result;
use engine::{Description, Need, Plan, Run, Step};
use programs::notary;

use super::package;

/// The pipeline step that builds `notary` and `packager`.
pub struct Programs;

impl Step for Programs {
    fn describe(&self) -> Description {
        Description::step("programs", "compile notary and packager").with_cache()
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        // The same commands as in the later steps, for which cargo then has nothing to do.
        let packager = package::build_packager(run)?.into_iter();
        Ok(packager.chain([notary::build(run)]).fold(Plan::new(), Plan::command))
    }
}
