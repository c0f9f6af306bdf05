// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Probable mistakes in a valid recipe. A warning never stops a task.

use std::{collections::HashSet, fmt};

use serde::Serialize;

use crate::{
    model::{Recipe, TaskTarget},
    partition::{Format, Partition, Size},
};

/// A probable mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// JSON pointer to the field; empty for the recipe as a whole.
    pub path: String,
    /// The rule, such as `no-efi-partition`.
    pub code: &'static str,
    /// Description. It never repeats contents.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the recipe" } else { &self.path };
        write!(f, "{place}: {} ({})", self.message, self.code)
    }
}

/// All warnings about `recipe`, in the order of its fields.
pub(crate) fn warnings(recipe: &Recipe) -> Vec<Warning> {
    let mut list = List(Vec::new());
    list.task(recipe);
    if let Some(layout) = &recipe.partition_layout {
        list.layout(&recipe.task_target, layout.partitions());
    }
    list.0
}

/// The warnings found so far.
struct List(Vec<Warning>);

impl List {
    fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Warning { path: path.into(), code, message: message.into() });
    }

    fn task(&mut self, recipe: &Recipe) {
        if recipe.oci_url.as_ref().is_some_and(|url| url.registry().is_none()) {
            self.add("/oci_url", "no-registry", "names no registry, and there is no default one");
        }
        if let Some(url) = &recipe.firmware_url {
            if url.has_credentials() {
                let message = "contains a user name or password, which is written to recipe.env";
                self.add("/firmware_url", "credentials", message);
            }
            if recipe.firmware_sha256.is_none() {
                let message = "is missing: the firmware is written without a check of its digest";
                self.add("/firmware_sha256", "no-checksum", message);
            }
        }
        if recipe.task_target == TaskTarget::InstallWindows && recipe.unattend_xml.is_none() {
            let message = "is missing: Windows Setup will stop and ask";
            self.add("/unattend_xml", "no-answer-file", message);
        }
    }

    fn layout(&mut self, target: &TaskTarget, partitions: &[Partition]) {
        let path = "/partition_layout";
        let linux = *target == TaskTarget::InstallLinux;
        let windows = *target == TaskTarget::InstallWindows;
        if (linux || windows) && !partitions.iter().any(|one| one.type_guid.is_efi_system()) {
            let message = "has no EFI system partition (ef00): UEFI machines can't boot from it";
            self.add(path, "no-efi-partition", message);
        }
        if linux && !partitions.iter().any(may_be_root) {
            let message = "has no partition for a Linux root (ext4, xfs or btrfs)";
            self.add(path, "no-root-partition", message);
        }
        if windows && !partitions.iter().any(|one| one.type_guid.is_microsoft_reserved()) {
            let message = "has no Microsoft reserved partition (0c01)";
            self.add(path, "no-msr-partition", message);
        }
        if windows && !partitions.iter().any(|one| one.format == Format::Ntfs) {
            let message = "has no partition for Windows (ntfs)";
            self.add(path, "no-windows-partition", message);
        }
        self.check_percentages(partitions);
        self.check_each(partitions);
    }

    /// A percentage gets what is left if its share is not free: fine for a last `100%`.
    fn check_percentages(&mut self, partitions: &[Partition]) {
        let mut taken = 0_u16;
        for (index, partition) in partitions.iter().enumerate() {
            let Size::Percent(percent) = partition.size else { continue };
            let share = u16::from(percent.get());
            let rest = share == 100 && taken < 100;
            if !rest && taken + share > 100 {
                let message = "the percentages come to more than 100 % of the space for them";
                self.add(format!("/partition_layout/{index}/size"), "over-100-percent", message);
            }
            taken = (taken + share).min(100);
        }
    }

    fn check_each(&mut self, partitions: &[Partition]) {
        let mut labels = HashSet::new();
        for (index, partition) in partitions.iter().enumerate() {
            let at = format!("/partition_layout/{index}");
            if partition.type_guid.is_efi_system() && partition.format != Format::Vfat {
                let message = "is not vfat, which an EFI system partition must be";
                self.add(format!("{at}/format"), "efi-not-vfat", message);
            }
            let Some(label) = &partition.label else { continue };
            let label = label.as_str();
            if let Some(max) = partition.format.max_label().filter(|max| label.len() > *max) {
                let message =
                    format!("has more than the {max} bytes that {} keeps", partition.format);
                self.add(format!("{at}/label"), "label-cut", message);
            }
            if !label.is_empty() && !labels.insert(label) {
                let message = "is the label of another partition too";
                self.add(format!("{at}/label"), "label-twice", message);
            }
        }
    }
}

/// Whether `partition` can have a Linux root file system.
fn may_be_root(partition: &Partition) -> bool {
    matches!(partition.format, Format::Ext4 | Format::Xfs | Format::Btrfs)
}
