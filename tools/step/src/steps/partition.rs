// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `partition`: writes the recipe's partition table and creates the file systems.

use anyhow::{Context as _, Result};
use recipe::{Size, TaskTarget};

use crate::action::Action;
use crate::arrange::{Extent, MIB, arrange};
use crate::disk::{self, DiskFacts};
use crate::image::Access;
use crate::mkfs::mkfs;
use crate::plan::Plan;
use crate::program::Program;
use crate::task::Task;
use crate::volumes::Volume;

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Plan for a disk of this size, such as 100G, instead of the real one
    #[arg(long, value_name = "SIZE", requires = "dry_run", value_parser = disk_size)]
    disk_size: Option<u64>,
    /// Before anything is written, check that the registry has the image of the task
    #[arg(long)]
    check_image: bool,
    #[command(flatten)]
    access: Access,
}

fn disk_size(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(Size::Bytes(bytes)) => Ok(bytes.get()),
        _ => Err("expected a size such as 100G".to_owned()),
    }
}

/// Plans the partition table and the file systems.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let disk = task.disk()?;
    let facts = match options.disk_size {
        Some(size) => DiskFacts { size, sector_size: 512 },
        None => disk::inspect(&disk)?,
    };
    let extents = arrange(task.layout()?.partitions(), facts.size)?;
    let volumes = task.volumes()?;
    let name = disk.display().to_string();

    let mut actions = Vec::new();
    if options.check_image {
        let reference = task.provision.env.oci_url.as_ref().context("the recipe has no oci_url")?;
        let os = match task.provision.env.task_target {
            TaskTarget::InstallWindows => "windows",
            TaskTarget::InstallLinux
            | TaskTarget::InstallEsxi
            | TaskTarget::FirmwareUpdate
            | TaskTarget::Erase => "linux",
        };
        let source = options.access.source(reference.as_ref(), os);
        actions.push(Action::CheckImage { source, limit: facts.size });
    }
    actions.extend([
        // An action, not a check while planning: after the step, the disk may be in use.
        Action::CheckDisk { disk: disk.clone() },
        // Signatures of the whole disk, which a new partition table does not overwrite.
        Action::run(Program::new("wipefs", ["--all", "--force", "--quiet", &name])),
        Action::run(Program::new("sgdisk", ["--zap-all", &name])),
        Action::run(table(task, &name, &volumes, &extents, facts.sector_size)),
        Action::run(Program::new("partprobe", [&name])),
        Action::Try {
            program: Program::new("udevadm", ["settle", "--timeout=30"]),
            because: "udev may not run here",
        },
        Action::WaitForPartitions {
            partitions: volumes
                .iter()
                .zip(&extents)
                .map(|(volume, extent)| (volume.device.clone(), extent.length * MIB))
                .collect(),
        },
    ]);
    for volume in &volumes {
        // Signatures of an earlier table: old RAID and LVM labels would be activated.
        let wipe = ["--all", "--force", "--quiet", &volume.device()];
        actions.push(Action::run(Program::new("wipefs", wipe)));
        actions.extend(mkfs(volume, &task.ids).map(Action::run));
    }
    Ok(Plan { step: "partition", actions })
}

/// One sgdisk command for the whole table, so that a partial table is never written.
fn table(
    task: &Task,
    disk: &str,
    volumes: &[Volume],
    extents: &[Extent],
    sector_size: u64,
) -> Program {
    let sectors = MIB / sector_size.max(1);
    let mut args = vec!["--clear".to_owned(), format!("--disk-guid={}", task.ids.disk())];
    for (volume, extent) in volumes.iter().zip(extents) {
        let number = volume.number;
        let first = extent.start * sectors;
        let last = first + extent.length * sectors - 1;
        args.push(format!("--new={number}:{first}:{last}"));
        args.push(format!("--typecode={number}:{}", volume.partition.type_guid));
        args.push(format!("--partition-guid={number}:{}", task.ids.partition(number)));
        if let Some(label) = &volume.partition.label {
            // sgdisk ends the name at a colon, without a way to escape it.
            let name = label.as_str().replace(':', "_");
            args.push(format!("--change-name={number}:{name}"));
        }
    }
    args.push(disk.to_owned());
    Program::new("sgdisk", args)
}
