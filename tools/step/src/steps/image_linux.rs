// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `image-linux`: pulls the operating system image and unpacks it to the volumes.

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::image::Access;
use crate::plan::Plan;
use crate::roots::Root;
use crate::task::Task;

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    access: Access,
}

/// Plans the pull.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let reference = task.provision.env.oci_url.as_ref().context("the recipe has no oci_url")?;
    let volumes = task.volumes()?;
    let root = Root::new(&volumes, &task.work)?;
    let mut actions = Vec::new();
    for (mount, target) in root.mounts() {
        actions.push(mount);
        // An interrupted attempt may have left a partial image.
        actions.push(Action::EmptyDir { path: target });
    }
    actions.push(Action::Unpack {
        source: options.access.source(reference.as_ref(), "linux"),
        target: root.path().to_owned(),
    });
    actions.extend(root.unmount_actions());
    Ok(Plan { step: "image-linux", actions })
}
