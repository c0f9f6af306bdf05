// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `bootloader-windows`: installs the boot manager and a BCD store on the EFI system partition.
//!
//! It copies the same files of the applied image as `bcdboot`, without running Windows.
//! `docs/reference/steps.md` lists what is tested.

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::bcd::{self, Partitions};
use crate::mkfs::mtools;
use crate::plan::Plan;
use crate::program::Program;
use crate::task::Task;
use crate::volumes::{self, Role};

/// Folders of Windows, and their destinations below the work folder.
const FOLDERS: [(&str, &str); 3] = [
    ("Windows/Boot/EFI", "EFI/Microsoft/Boot"),
    ("Windows/Boot/Fonts", "EFI/Microsoft/Boot/Fonts"),
    ("Windows/Boot/Resources", "EFI/Microsoft/Boot/Resources"),
];

/// Loader name that firmware boots without a boot entry (UEFI 2.10, 3.5.1.1).
const REMOVABLE: &str = if cfg!(target_arch = "aarch64") { "bootaa64.efi" } else { "bootx64.efi" };

/// Plans boot files and BCD store.
pub(crate) fn plan(task: &Task) -> Result<Plan> {
    let volumes = task.volumes()?;
    let windows = volumes::find(&volumes, Role::Windows)
        .context("partition_layout has no partition for Windows: format ntfs")?;
    let efi = volumes::find(&volumes, Role::EfiSystem).context(
        "partition_layout has no EFI system partition (type ef00, format vfat): Windows is started \
         by UEFI only",
    )?;
    let root = task.work.join("root");
    let at = |path: &str| task.work.join(path).display().to_string();
    let (store, patch) = (at("EFI/Microsoft/Boot/BCD"), task.work.join("bcd.reg"));

    let mut actions = vec![Action::Mount {
        source: windows.device(),
        target: root.clone(),
        fstype: "ntfs".to_owned(),
        read_only: true,
    }];
    for (from, to) in FOLDERS {
        actions.push(Action::MakeDir { path: task.work.join(to) });
        // Copy contents only: FAT has neither owners nor modes.
        let from = format!("{}/{from}/.", root.display());
        actions.push(Action::run(Program::new("cp", ["--recursive", &from, &at(to)])));
    }
    actions.push(Action::MakeDir { path: task.work.join("EFI/Boot") });
    let copy_out = |from: &str, to: &str| Action::CopyOut {
        root: root.clone(),
        from: from.into(),
        to: task.work.join(to),
    };
    actions.push(copy_out("/Windows/Boot/EFI/bootmgfw.efi", &format!("EFI/Boot/{REMOVABLE}")));
    actions.push(copy_out("/Windows/System32/config/BCD-Template", "EFI/Microsoft/Boot/BCD"));
    actions.push(Action::Unmount { target: root });
    actions.push(Action::WriteFile {
        path: patch.clone(),
        mode: 0o600,
        contents: bcd::patch(&Partitions {
            disk: task.ids.disk(),
            efi: task.ids.partition(efi.number),
            windows: task.ids.partition(windows.number),
            loader: task.ids.windows_loader(),
        })
        .into(),
    });
    let merge = ["--merge", "--prefix", "", &store, &patch.display().to_string()];
    actions.push(Action::run(Program::new("hivexregedit", merge)));
    let args = ["-s", "-o", &at("EFI"), "::/"];
    actions.push(Action::run(mtools("mcopy", &efi.device(), &args)));
    actions.push(Action::Flush { device: efi.device.clone() });
    actions.push(Action::BootEntry {
        disk: task.disk()?,
        partition: efi.number,
        label: "Windows Boot Manager",
        loader: r"\EFI\Microsoft\Boot\bootmgfw.efi".to_owned(),
    });
    Ok(Plan { step: "bootloader-windows", actions })
}
