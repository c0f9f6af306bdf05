// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `config-drive`: a `NoCloud` drive for cloud-init, as its documentation of that data source
//! describes it: a FAT file system labelled `CIDATA` with `user-data`, `meta-data` and, where one
//! is given, `network-config`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::files::temporary_for;
use crate::mkfs::{mkfs_vfat, mtools};
use crate::plan::{Contents, Plan};
use crate::task::Task;
use crate::volumes::{self, CIDATA, Role};

/// Size of a drive that is written to an image file: twice what the largest recipe needs.
const IMAGE_SIZE: u64 = 4 * 1024 * 1024;

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Write an image file of 4 MiB instead of the partition labelled CIDATA.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put this network configuration (cloud-init's format) on the drive.
    #[arg(long, value_name = "FILE")]
    network_config: Option<PathBuf>,
}

/// Plans the drive; nothing where the recipe has no user data.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let step = "config-drive";
    let Some(user_data) = &task.provision.user_data else {
        return Ok(Plan { step, actions: Vec::new() });
    };
    let mut files = vec![
        ("user-data", Contents::from(user_data.expose().to_owned())),
        ("meta-data", Contents::from(format!("instance-id: {}\n", task.ids.instance()))),
    ];
    if let Some(path) = &options.network_config {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push(("network-config", Contents::from(text)));
    }

    let mut actions = Vec::new();
    let (device, number) = if let Some(output) = &options.output {
        let path = temporary_for(output);
        let device = path.display().to_string();
        actions.push(Action::MakeImage { path, size: IMAGE_SIZE });
        (device, 0)
    } else {
        let volumes = task.volumes()?;
        let volume = volumes::find(&volumes, Role::ConfigDrive).with_context(|| {
            format!(
                "the recipe has user_data, but its partition_layout has no place for it: add a \
                 partition of 8M with format vfat and label {CIDATA}"
            )
        })?;
        (volume.device(), volume.number)
    };
    // The file system is made again even where `partition` has made it: what is on the drive is
    // then this step's alone, whatever an earlier run left there.
    actions.push(Action::run(mkfs_vfat(&device, Some(CIDATA), task.ids.fat_volume(number))));
    for (name, contents) in files {
        let path = task.work.join(name);
        let source = path.display().to_string();
        actions.push(Action::WriteFile { path, mode: 0o600, contents });
        let copy = mtools("mcopy", &device, &["-o", &source, &format!("::/{name}")]);
        actions.push(Action::run(copy));
    }
    if let Some(output) = &options.output {
        actions.push(Action::Publish { from: temporary_for(output), to: output.clone() });
    } else {
        actions.push(Action::Flush { device: device.into() });
    }
    Ok(Plan { step, actions })
}
