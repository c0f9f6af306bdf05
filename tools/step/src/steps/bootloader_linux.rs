// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `bootloader-linux`: installs fstab and GRUB, for UEFI and BIOS, as the partition table allows.
//!
//! For UEFI, the image's own loader is preferred: only a distribution's shim and GRUB are signed
//! for Secure Boot. The fallback is GRUB of this tool image. Both are installed at the path of
//! removable media, `EFI/BOOT`, which firmware boots without a boot entry (UEFI 2.10, 3.5.1.1).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::action::{Action, Alternative};
use crate::contents::Contents;
use crate::fstab::fstab;
use crate::grub::{self, Boot};
use crate::mkfs::mtools;
use crate::plan::Plan;
use crate::program::Program;
use crate::roots::Root;
use crate::task::Task;
use crate::volumes::{self, Role, Volume};

/// Name of the installed system in the firmware's boot menu.
const ENTRY: &str = "Installed system";

/// Names of this architecture in UEFI, GRUB and shim.
struct Names {
    /// GRUB's platform.
    grub: &'static str,
    /// Suffix of loader names, such as `x64` in `grubx64.efi`.
    efi: &'static str,
}

#[cfg(target_arch = "aarch64")]
const NAMES: Names = Names { grub: "arm64-efi", efi: "aa64" };
#[cfg(not(target_arch = "aarch64"))]
const NAMES: Names = Names { grub: "x86_64-efi", efi: "x64" };

/// Distributions that install shim and GRUB in `/boot/efi/EFI/NAME`, where their GRUB also reads
/// its configuration.
const VENDORS: [&str; 5] = ["almalinux", "centos", "fedora", "redhat", "rocky"];

/// Modules that GRUB needs to find its configuration on all file systems of recipes, and to parse
/// the output of grub-mkconfig.
const MODULES: [&str; 29] = [
    "all_video",
    "btrfs",
    "cat",
    "configfile",
    "echo",
    "ext2",
    "fat",
    "font",
    "gfxterm",
    "gzio",
    "halt",
    "linux",
    "loadenv",
    "ls",
    "lzopio",
    "minicmd",
    "normal",
    "part_gpt",
    "reboot",
    "regexp",
    "search",
    "search_fs_uuid",
    "search_label",
    "serial",
    "sleep",
    "test",
    "true",
    "xfs",
    "zstd",
];

/// Plans fstab and boot loader.
pub(crate) fn plan(task: &Task) -> Result<Plan> {
    let volumes = task.volumes()?;
    let root = Root::new(&volumes, &task.work)?.restrict_to(&["/", "/boot"]);
    let disk = task.disk()?;
    let efi = volumes::find(&volumes, Role::EfiSystem);
    let bios = volumes::find(&volumes, Role::BiosBoot);
    ensure!(
        efi.is_some() || bios.is_some(),
        "partition_layout has no place for a boot loader: add an EFI system partition (type ef00, \
         format vfat) for UEFI, or a BIOS boot partition of 1M (type ef02, format raw)"
    );
    let boot = boot(task, &root);

    let mut actions: Vec<Action> = root.mounts().map(|(mount, _)| mount).collect();
    actions.push(Action::Install {
        root: root.path().to_owned(),
        path: "/etc/fstab".into(),
        mode: 0o644,
        contents: fstab(&volumes, &task.ids).into(),
    });
    actions.extend(configuration(&root, &boot));
    if let Some(bios) = bios {
        ensure!(
            cfg!(target_arch = "x86_64"),
            "partition {} is for BIOS, which this host does not have",
            bios.number
        );
        actions.push(grub_install(&root, &disk));
    }
    if let Some(efi) = efi {
        actions.extend(efi_loader(task, &root, efi, &boot));
    }
    actions.extend(root.unmount_actions());
    if let Some(efi) = efi {
        actions.push(Action::BootEntry {
            disk,
            partition: efi.number,
            label: ENTRY,
            loader: format!(r"\EFI\BOOT\{}", removable_name()),
        });
    }
    Ok(Plan { step: "bootloader-linux", actions })
}

fn boot(task: &Task, root: &Root<'_>) -> Boot {
    // All formats of a root have an id set by the task.
    let uuid = |volume: &Volume| volume.uuid(&task.ids).unwrap_or_default();
    let root_uuid = uuid(root.root());
    let boot_uuid = uuid(root.boot());
    Boot { boot_uuid: (boot_uuid != root_uuid).then_some(boot_uuid), root_uuid }
}

/// Writes `grub.cfg`, then lets the distribution regenerate it if the image can.
fn configuration(root: &Root<'_>, boot: &Boot) -> Vec<Action> {
    let at = |place: &str| root.inside(place);
    let own = Action::GrubConfig { root: root.path().to_owned(), boot: boot.clone() };
    let pseudo = |fstype: &str, place: &str| Action::Mount {
        source: fstype.to_owned(),
        target: at(place),
        fstype: fstype.to_owned(),
        read_only: false,
    };
    let mkconfig = |program: &str, folder: &str| Alternative {
        needs: vec![PathBuf::from(program)],
        actions: vec![
            Action::Try {
                program: Program::new(program, ["--output", &grub::temporary_path(folder)])
                    // Ignore systems on other disks.
                    .with_env("GRUB_DISABLE_OS_PROBER", "true")
                    .in_root(root.path()),
                because: "the grub.cfg written before works too",
            },
            Action::AcceptGrubConfig {
                root: root.path().to_owned(),
                folder: folder.into(),
                boot: boot.clone(),
            },
        ],
    };
    vec![
        own,
        Action::Bind { source: "/dev".into(), target: at("/dev") },
        pseudo("proc", "/proc"),
        pseudo("sysfs", "/sys"),
        Action::Choose {
            root: root.path().to_owned(),
            alternatives: vec![
                mkconfig("/usr/sbin/grub-mkconfig", "/boot/grub"),
                mkconfig("/usr/sbin/grub2-mkconfig", "/boot/grub2"),
            ],
        },
        Action::Unmount { target: at("/sys") },
        Action::Unmount { target: at("/proc") },
        Action::Unmount { target: at("/dev") },
    ]
}

/// Installs GRUB for BIOS: boot sector, core image in the BIOS boot partition, modules in `/boot`.
fn grub_install(root: &Root<'_>, disk: &Path) -> Action {
    let boot = format!("--boot-directory={}", root.inside("/boot").display());
    let disk = disk.display().to_string();
    Action::run(Program::new("grub-install", ["--target=i386-pc", &boot, "--no-floppy", &disk]))
}

/// Loader name that firmware boots without a boot entry.
fn removable_name() -> String {
    format!("BOOT{}.EFI", NAMES.efi.to_ascii_uppercase())
}

/// Prepares the content of the EFI system partition in the work folder, then copies it.
fn efi_loader(task: &Task, root: &Root<'_>, efi: &Volume, boot: &Boot) -> Vec<Action> {
    let folder = task.work.join("EFI");
    let config = Contents::from(boot.early_config());
    let write = |path: PathBuf| Action::WriteFile { path, mode: 0o600, contents: config.clone() };
    let own = folder.join("BOOT").join(removable_name());
    let signed = |shim: String, grub: String, vendors: &[&str]| {
        let (shim, grub) = (PathBuf::from(shim), PathBuf::from(grub));
        let copy = |from: &Path, to: PathBuf| Action::CopyOut {
            root: root.path().to_owned(),
            from: from.to_owned(),
            to,
        };
        // shim loads GRUB from its own folder.
        let beside = folder.join(format!("BOOT/grub{}.efi", NAMES.efi));
        let mut actions = vec![copy(&shim, own.clone()), copy(&grub, beside)];
        actions.extend(vendors.iter().map(|name| write(folder.join(name).join("grub.cfg"))));
        Alternative { needs: vec![shim, grub], actions }
    };

    // Debian's packages store the signed loaders in /usr/lib, for grub-install.
    let mut alternatives = vec![signed(
        format!("/usr/lib/shim/shim{}.efi.signed", NAMES.efi),
        format!("/usr/lib/grub/{}-signed/grub{}.efi.signed", NAMES.grub, NAMES.efi),
        &["debian", "ubuntu"],
    )];
    alternatives.extend(VENDORS.map(|vendor| {
        let at = |loader: &str| format!("/boot/efi/EFI/{vendor}/{loader}{}.efi", NAMES.efi);
        signed(at("shim"), at("grub"), &[vendor])
    }));
    // No signed loader: GRUB of this tool image, which Secure Boot rejects.
    let early = task.work.join("early.cfg");
    let (output, config_option) =
        (format!("--output={}", own.display()), format!("--config={}", early.display()));
    let format = format!("--format={}", NAMES.grub);
    let mut args = vec![format.as_str(), &output, &config_option, "--prefix=/EFI/BOOT"];
    args.extend(MODULES);
    alternatives.push(Alternative {
        needs: Vec::new(),
        actions: vec![write(early), Action::run(Program::new("grub-mkimage", args))],
    });

    let (device, source) = (efi.device(), folder.display().to_string());
    // -s copies folders, -o overwrites files of an earlier run.
    let copy = mtools("mcopy", &device, &["-s", "-o", &source, "::/"]);
    vec![
        write(folder.join("BOOT/grub.cfg")),
        Action::Choose { root: root.path().to_owned(), alternatives },
        Action::run(copy),
        Action::Flush { device: efi.device.clone() },
    ]
}
