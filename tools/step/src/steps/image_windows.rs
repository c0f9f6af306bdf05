// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `image-windows`: applies a WIM to the Windows volume and installs the answer file.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::image::Access;
use crate::mkfs::mkfs;
use crate::plan::Plan;
use crate::task::Task;
use crate::volumes::{self, Role};

/// Path of the cached answer file, which Windows Setup reads at the first boot of an applied image
/// (Microsoft, "Windows Setup automation overview", implicit answer file search order).
const UNATTEND: &str = "/Windows/Panther/unattend.xml";

/// Options of the step.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    access: Access,
    /// Number of the image in the WIM
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    index: u32,
}

/// Plans the pull.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let reference = task.provision.env.oci_url.as_ref().context("the recipe has no oci_url")?;
    let volumes = task.volumes()?;
    let windows = volumes::find(&volumes, Role::Windows)
        .context("partition_layout has no partition for Windows: format ntfs")?;
    // wimlib requires an empty volume, and an interrupted attempt may have left a partial image.
    let mut actions: Vec<Action> = mkfs(windows, &task.ids).map(Action::run).into_iter().collect();
    actions.push(Action::ApplyWim {
        source: options.access.source(reference.as_ref(), "windows"),
        index: options.index,
        device: windows.device.clone(),
        work: task.work.clone(),
    });
    if let Some(unattend) = &task.provision.unattend_xml {
        let root = task.work.join("root");
        actions.push(Action::Mount {
            source: windows.device(),
            target: root.clone(),
            fstype: "ntfs".to_owned(),
            read_only: false,
        });
        actions.push(Action::Install {
            root: root.clone(),
            path: PathBuf::from(UNATTEND),
            mode: 0o600,
            contents: unattend.expose().to_owned().into(),
        });
        actions.push(Action::Unmount { target: root });
    }
    actions.push(Action::Flush { device: windows.device.clone() });
    Ok(Plan { step: "image-windows", actions })
}
