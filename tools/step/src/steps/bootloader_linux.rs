// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `bootloader-linux`: fstab and GRUB, for UEFI and for BIOS, as the partition table has room.
//!
//! For UEFI, the loader that the image brings is preferred: only a distribution's own shim and GRUB
//! are signed for Secure Boot. They and GRUB of this tool image alike are put at the removable
//! medium's path, `EFI/BOOT`, where firmware looks without having been told (UEFI 2.10, 3.5.1.1).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::action::{Action, Alternative};
use crate::contents::Contents;
use crate::fstab::fstab;
use crate::grub::Boot;
use crate::mkfs::mtools;
use crate::plan::Plan;
use crate::program::Program;
use crate::roots::Root;
use crate::task::Task;
use crate::volumes::{self, Role, Volume};

/// Name of the installed system in the firmware's menu.
const ENTRY: &str = "Installed system";

/// What UEFI, GRUB and shim call this architecture.
struct Names {
    /// GRUB's platform.
    grub: &'static str,
    /// The part of a loader's name, such as `x64` in `grubx64.efi`.
    efi: &'static str,
}

#[cfg(target_arch = "aarch64")]
const NAMES: Names = Names { grub: "arm64-efi", efi: "aa64" };
#[cfg(not(target_arch = "aarch64"))]
const NAMES: Names = Names { grub: "x86_64-efi", efi: "x64" };

/// Distributions whose packages put shim and GRUB into `/boot/efi/EFI/NAME`, from where their GRUB
/// reads its configuration as well.
const VENDORS: [&str; 5] = ["almalinux", "centos", "fedora", "redhat", "rocky"];

/// Modules of a GRUB that finds its configuration on any of the file systems of a recipe, and that
/// understands what grub-mkconfig writes.
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
    let root = Root::new(&volumes, &task.work)?.only(&["/", "/boot"]);
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
            "partition {} is for a BIOS, and this machine has none",
            bios.number
        );
        actions.push(grub_install(&root, &disk));
    }
    if let Some(efi) = efi {
        actions.extend(efi_loader(task, &root, efi, &boot));
    }
    actions.extend(root.unmounts());
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
    // Every format that a root can have has an id of ours.
    let uuid = |volume: &Volume| volume.uuid(&task.ids).unwrap_or_default();
    let root_uuid = uuid(root.root());
    let boot_uuid = uuid(root.boot());
    Boot { boot_uuid: (boot_uuid != root_uuid).then_some(boot_uuid), root_uuid }
}

/// Our own `grub.cfg`, then the distribution's where the image can write one.
fn configuration(root: &Root<'_>, boot: &Boot) -> Vec<Action> {
    let at = |place: &str| root.inside(place);
    let own = Action::GrubConfig { root: root.path().to_owned(), boot: boot.clone() };
    let pseudo = |fstype: &str, place: &str| Action::Mount {
        source: fstype.to_owned(),
        target: at(place),
        fstype: fstype.to_owned(),
        read_only: false,
    };
    let mkconfig = |program: &str, output: &str| Alternative {
        needs: vec![PathBuf::from(program)],
        actions: vec![Action::Try {
            program: Program::new(program, ["--output", output])
                // Other disks are none of this machine's business.
                .with_env("GRUB_DISABLE_OS_PROBER", "true")
                .in_root(root.path()),
            because: "the configuration written before boots as well",
        }],
    };
    vec![
        own,
        Action::Bind { source: "/dev".into(), target: at("/dev") },
        pseudo("proc", "/proc"),
        pseudo("sysfs", "/sys"),
        Action::Choose {
            root: root.path().to_owned(),
            alternatives: vec![
                mkconfig("/usr/sbin/grub-mkconfig", "/boot/grub/grub.cfg"),
                mkconfig("/usr/sbin/grub2-mkconfig", "/boot/grub2/grub.cfg"),
            ],
        },
        Action::Unmount { target: at("/sys") },
        Action::Unmount { target: at("/proc") },
        Action::Unmount { target: at("/dev") },
    ]
}

/// GRUB for a BIOS: boot sector, core image in the BIOS boot partition, modules in `/boot`.
fn grub_install(root: &Root<'_>, disk: &Path) -> Action {
    let boot = format!("--boot-directory={}", root.inside("/boot").display());
    let disk = disk.display().to_string();
    Action::run(Program::new("grub-install", ["--target=i386-pc", &boot, "--no-floppy", &disk]))
}

/// The name under which firmware starts a loader that it was not told of.
fn removable_name() -> String {
    format!("BOOT{}.EFI", NAMES.efi.to_ascii_uppercase())
}

/// Fills the EFI system partition: prepared in the work folder, then copied as a whole.
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
        // shim starts the GRUB beside it.
        let beside = folder.join(format!("BOOT/grub{}.efi", NAMES.efi));
        let mut actions = vec![copy(&shim, own.clone()), copy(&grub, beside)];
        actions.extend(vendors.iter().map(|name| write(folder.join(name).join("grub.cfg"))));
        Alternative { needs: vec![shim, grub], actions }
    };

    // Debian's packages keep them beside the system, for grub-install to copy.
    let mut alternatives = vec![signed(
        format!("/usr/lib/shim/shim{}.efi.signed", NAMES.efi),
        format!("/usr/lib/grub/{}-signed/grub{}.efi.signed", NAMES.grub, NAMES.efi),
        &["debian", "ubuntu"],
    )];
    alternatives.extend(VENDORS.map(|vendor| {
        let at = |loader: &str| format!("/boot/efi/EFI/{vendor}/{loader}{}.efi", NAMES.efi);
        signed(at("shim"), at("grub"), &[vendor])
    }));
    // No signed loader: GRUB of this tool image, which Secure Boot does not start.
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
    // -s with folders, -o over what an earlier run left.
    let copy = mtools("mcopy", &device, &["-s", "-o", &source, "::/"]);
    vec![
        write(folder.join("BOOT/grub.cfg")),
        Action::Choose { root: root.path().to_owned(), alternatives },
        Action::run(copy),
        Action::Flush { device: efi.device.clone() },
    ]
}
