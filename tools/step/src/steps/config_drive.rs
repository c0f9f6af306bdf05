// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `config-drive`: a `NoCloud` drive for cloud-init.
//!
//! It is a FAT file system labelled `CIDATA` with `user-data`, `meta-data` and optionally
//! `network-config` (cloud-init documentation, data source `NoCloud`). Without a partition for it,
//! the files go to the seed folder of the installed system, which the data source reads too.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::contents::Contents;
use crate::files::temporary_for;
use crate::mkfs::{mkfs_vfat, mtools};
use crate::plan::Plan;
use crate::roots::Root;
use crate::task::Task;
use crate::volumes::{self, CIDATA, Role};

/// Size of an image file in bytes: twice what the largest recipe needs.
const IMAGE_SIZE: u64 = 4 * 1024 * 1024;

/// Seed folder of the data source in the installed system.
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// Names and contents of the files.
type Files = Vec<(&'static str, Contents)>;

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Write an image file of 4 MiB instead of the partition labelled CIDATA
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Include this network configuration (cloud-init format)
    #[arg(long, value_name = "FILE")]
    network_config: Option<PathBuf>,
}

/// Plans the drive; an empty plan if the recipe has no user data.
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

    let actions = if let Some(output) = &options.output {
        let part = temporary_for(output);
        let mut actions = vec![Action::MakeImage { path: part.clone(), size: IMAGE_SIZE }];
        actions.extend(drive(task, &part.display().to_string(), 0, files));
        actions.push(Action::Publish { from: part, to: output.clone() });
        actions
    } else {
        let volumes = task.volumes()?;
        if let Some(volume) = volumes::find(&volumes, Role::ConfigDrive) {
            let mut actions = drive(task, &volume.device(), volume.number, files);
            actions.push(Action::Flush { device: volume.device.clone() });
            actions
        } else {
            seed(Root::new(&volumes, &task.work).with_context(no_place)?, files)
        }
    };
    Ok(Plan { step, actions })
}

fn no_place() -> String {
    format!(
        "the recipe has user_data, but its partition_layout has no place for it: add a partition \
         of 8M with format vfat and label {CIDATA}"
    )
}

/// Formats a device or image file with FAT and writes the files.
///
/// It is formatted even if `partition` has done so, to remove files of earlier runs.
fn drive(task: &Task, device: &str, number: usize, files: Files) -> Vec<Action> {
    let id = task.ids.fat_volume(number);
    let mut actions = vec![Action::run(mkfs_vfat(device, Some(CIDATA), id))];
    for (name, contents) in files {
        let path = task.work.join(name);
        let source = path.display().to_string();
        actions.push(Action::WriteFile { path, mode: 0o600, contents });
        let copy = mtools("mcopy", device, &["-o", &source, &format!("::/{name}")]);
        actions.push(Action::run(copy));
    }
    actions
}

/// Writes the files to the seed folder of the installed system.
fn seed(root: Root<'_>, files: Files) -> Vec<Action> {
    let root = root.only(&["/", "/var"]);
    let mut actions: Vec<Action> = root.mounts().map(|(mount, _)| mount).collect();
    actions.extend(files.into_iter().map(|(name, contents)| Action::Install {
        root: root.path().to_owned(),
        path: Path::new(SEED).join(name),
        mode: 0o600,
        contents,
    }));
    actions.extend(root.unmounts());
    actions
}
