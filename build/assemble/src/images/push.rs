// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask images --push`: pushes images to a registry unsigned, for testing. `cargo xtask
//! publish` pushes signed releases.

use anyhow::{Context as _, Result};
use engine::Run;
use engine::workspace::Image;
use foundation::command::Command;
use programs::{notary, target};

use super::ImagesArguments;

/// The commands that push the images `chosen`; empty without `--push`.
pub(super) fn commands(run: &Run, chosen: &[&Image]) -> Result<Vec<Command>> {
    let Some(requested) = &run.options.step_arguments::<ImagesArguments>().push else {
        return Ok(Vec::new());
    };
    let declared = run.workspace.product().product.registry.as_ref();
    let name = Some(requested).filter(|it| !it.is_empty()).or(declared).context(
        "there is no registry to push to: name one with --push=NAME or --push=HOST/PREFIX, or as `registry` of [product] \
         in release.toml",
    )?;
    let target = target::target(run, name)?;
    let push = notary::call(run, "push-images")
        .args(chosen.iter().map(|image| &image.name))
        .arg("--release")
        .arg(run.dist())
        .arg("--to")
        .arg(target.namespace.with_scheme());
    Ok(vec![notary::build(run), target.add_access(push)])
}
