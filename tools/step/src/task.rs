// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Input of a step: the task in `/run/provision`, and its work folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use recipe::provision::Provision;
use recipe::{Format, Label, Partition, PartitionLayout, TaskTarget, TypeGuid};

use crate::ids::Ids;
use crate::volumes::{self, Volume};

/// The task of this host.
pub(crate) struct Task {
    /// Task files as the dispatcher wrote them.
    pub(crate) provision: Provision,
    /// Ids derived from the task.
    pub(crate) ids: Ids,
    /// Folder for temporary files, which exists only while the step runs.
    pub(crate) work: PathBuf,
}

impl Task {
    /// Reads the task in `dir`, with `work` as the work folder.
    pub(crate) fn read(dir: &Path, work: PathBuf) -> Result<Self> {
        let mut provision = Provision::read(dir)
            .with_context(|| format!("cannot read the task in {}", dir.display()))?;
        if provision.env.task_target == TaskTarget::InstallWindows && provision.layout.is_none() {
            provision.layout = Some(windows_layout()?);
        }
        // Some boards have no serial number. The job id is unique too, but changes with each job.
        let machine = provision.env.serial.as_ref().or(provision.env.job_id.as_ref());
        let machine = machine.map_or("", |text| text.as_str());
        let ids = Ids::new(machine, provision.env.recipe_sha256.as_str());
        Ok(Self { provision, ids, work })
    }

    /// The target disk.
    ///
    /// Resolves udev links, so that partitions have kernel names and the tool image needs no udev.
    /// Links to device-mapper devices are kept, because their partitions have no such names.
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

    /// The partition layout of the recipe, or the default for a Windows recipe without one.
    pub(crate) fn layout(&self) -> Result<&PartitionLayout> {
        self.provision.layout.as_ref().context("the recipe has no partition_layout")
    }

    /// The volumes of the layout on the target disk.
    pub(crate) fn volumes(&self) -> Result<Vec<Volume>> {
        Ok(volumes::volumes(self.layout()?, &self.disk()?))
    }
}

/// The UEFI layout of Windows Setup without the recovery partition: EFI system partition, Microsoft
/// reserved partition, Windows.
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
