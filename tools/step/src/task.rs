// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a step knows before it plans: the task from `/run/provision`, and where it may work.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use recipe::provision::Provision;
use recipe::{Format, Label, Partition, PartitionLayout, TaskTarget, TypeGuid};

use crate::ids::Ids;
use crate::volumes::{self, Volume};

/// The task of this machine.
pub(crate) struct Task {
    /// As the dispatcher wrote it.
    pub(crate) provision: Provision,
    /// The ids that follow from it.
    pub(crate) ids: Ids,
    /// Folder for temporary files while the step runs; not there before and after.
    pub(crate) work: PathBuf,
}

impl Task {
    /// Reads the task in `dir`; a step with this task works in `work`.
    pub(crate) fn read(dir: &Path, work: PathBuf) -> Result<Self> {
        let mut provision = Provision::read(dir)
            .with_context(|| format!("cannot read the task in {}", dir.display()))?;
        if provision.env.task_target == TaskTarget::InstallWindows && provision.layout.is_none() {
            provision.layout = Some(windows_layout()?);
        }
        // Some boards have no serial number; the job is as unique, but another one next time.
        let machine = provision.env.serial.as_ref().or(provision.env.job_id.as_ref());
        let machine = machine.map_or("", |text| text.as_str());
        let ids = Ids::new(machine, provision.env.recipe_sha256.as_str());
        Ok(Self { provision, ids, work })
    }

    /// The disk to write to.
    ///
    /// A udev link is followed where it exists, so that the names of the partitions are the
    /// kernel's and no udev has to run in the tool image; a link to a device-mapper device is kept,
    /// because its partitions have no such names.
    pub(crate) fn disk(&self) -> Result<PathBuf> {
        let disk = self.provision.env.target_disk.as_ref();
        let disk = PathBuf::from(disk.context("the recipe has no target_disk")?.as_str());
        if !disk.starts_with("/dev/disk") {
            return Ok(disk);
        }
        match fs::canonicalize(&disk) {
            Ok(real) if !real.starts_with("/dev/mapper") && !is_device_mapper(&real) => Ok(real),
            _ => Ok(disk),
        }
    }

    /// The partition table that the recipe asks for, or the usual one where a Windows recipe
    /// leaves it out.
    pub(crate) fn layout(&self) -> Result<&PartitionLayout> {
        self.provision.layout.as_ref().context("the recipe has no partition_layout")
    }

    /// The volumes of that table on that disk.
    pub(crate) fn volumes(&self) -> Result<Vec<Volume>> {
        Ok(volumes::volumes(self.layout()?, &self.disk()?))
    }
}

/// The table that Windows Setup makes for UEFI, without the recovery partition: EFI system
/// partition, Microsoft reserved partition, Windows.
fn windows_layout() -> Result<PartitionLayout> {
    let partition = |size: &str, type_guid, format, label: Option<&str>| -> Result<Partition> {
        let label = label.map(Label::new).transpose()?;
        Ok(Partition { size: size.parse()?, type_guid, format, label })
    };
    Ok(PartitionLayout::new(vec![
        partition("300M", TypeGuid::EFI_SYSTEM, Format::Vfat, Some("SYSTEM"))?,
        partition("16M", TypeGuid::MICROSOFT_RESERVED, Format::Raw, None)?,
        partition("100%", TypeGuid::MICROSOFT_BASIC_DATA, Format::Ntfs, Some("Windows"))?,
    ])?)
}

fn is_device_mapper(device: &Path) -> bool {
    device.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dm-"))
}
