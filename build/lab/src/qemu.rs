// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! QEMU virtual machines: command lines, and control over QMP.
//!
//! TCG works on every host, also in a virtual machine; KVM only where a VM that is started with it
//! really runs. VMs have one processor and, under TCG, a clock that counts instructions
//! (`-icount`): on a busy host, kernels otherwise give up on timers.

mod qmp;

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::accelerator::Accelerator;
use foundation::command::Command;
use release::Architecture;

pub use self::qmp::{Halted, Monitor, Qmp};

/// Firmware of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// UEFI without Secure Boot.
    Uefi,
    /// UEFI with Secure Boot and Microsoft's keys.
    SecureBoot,
    /// BIOS.
    Bios,
    /// UEFI for aarch64, without Secure Boot.
    UefiArm64,
    /// UEFI for aarch64 with Secure Boot and Microsoft's keys.
    SecureBootArm64,
}

impl Firmware {
    /// The architecture of the VM.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Uefi | Self::SecureBoot | Self::Bios => Architecture::Amd64,
            Self::UefiArm64 | Self::SecureBootArm64 => Architecture::Arm64,
        }
    }

    /// The QEMU system emulator.
    pub fn program(self) -> &'static str {
        match self.architecture() {
            Architecture::Amd64 => "qemu-system-x86_64",
            Architecture::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The firmware's name in the catalogue of tools; none for BIOS, which is part of QEMU.
    pub fn tool(self) -> Option<&'static str> {
        match self {
            Self::Uefi | Self::SecureBoot => Some("/usr/share/OVMF/OVMF_CODE_4M.fd"),
            Self::Bios => None,
            Self::UefiArm64 | Self::SecureBootArm64 => Some("/usr/share/AAVMF/AAVMF_CODE.fd"),
        }
    }

    /// Code and variables (NVRAM template) as installed by Debian's packages `ovmf` and
    /// `qemu-efi-aarch64`.
    fn files(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Uefi => {
                Some(("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"))
            }
            Self::SecureBoot => Some((
                "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            )),
            Self::Bios => None,
            Self::UefiArm64 => {
                Some(("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"))
            }
            Self::SecureBootArm64 => {
                Some(("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd"))
            }
        }
    }

    /// QEMU arguments for machine type and display.
    fn board(self) -> &'static [&'static str] {
        match self {
            Self::Uefi | Self::Bios => &["-machine", "q35", "-vga", "std"],
            // Only code in system management mode may write UEFI variables.
            Self::SecureBoot => &[
                "-machine",
                "q35,smm=on",
                "-global",
                "driver=cfi.pflash01,property=secure,value=on",
                "-vga",
                "std",
            ],
            Self::UefiArm64 | Self::SecureBootArm64 => {
                &["-machine", "virt", "-cpu", "cortex-a72", "-device", "ramfb"]
            }
        }
    }
}

/// QEMU arguments for the accelerator.
fn execution(accelerator: Accelerator) -> &'static [&'static str] {
    match accelerator {
        Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host"],
        Accelerator::Tcg => &["-accel", "tcg", "-icount", "shift=auto"],
    }
}

/// A kernel for QEMU's direct Linux boot, without a boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Kernel image.
    pub image: PathBuf,
    /// Initial RAM disk.
    pub initramfs: PathBuf,
    /// Kernel command line.
    pub command_line: String,
}

/// A drive of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// Device name in QMP.
    pub id: String,
    /// Raw image file.
    pub file: PathBuf,
    /// Kind of drive.
    pub kind: DriveKind,
    /// Read and write limit in bytes per second; 0: none.
    pub bytes_per_second: u64,
}

/// Device type of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveKind {
    /// CD-ROM, read-only.
    Cd,
    /// Disk, writable. Its serial number is its name.
    Disk,
    /// NVM Express disk, writable. Its serial number is its name.
    Nvme,
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Folder of its files: `console.log`, `qmp`, firmware variables.
    pub folder: PathBuf,
    /// KVM or TCG.
    pub accelerator: Accelerator,
    /// Firmware.
    pub firmware: Firmware,
    /// Kernel for direct boot; none: the firmware boots from the drives.
    pub kernel: Option<Kernel>,
    /// Memory in MiB.
    pub memory: u32,
    /// Drives; CDs in boot order.
    pub drives: Vec<Drive>,
    /// SMBIOS serial number.
    pub serial: String,
    /// systemd credentials: name and value (systemd.system-credentials(7)).
    pub credentials: Vec<(String, String)>,
}

impl Machine {
    /// Log of the serial console.
    pub fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// The VM's UEFI variables file and the template that it is copied from.
    pub fn variables(&self) -> Option<(PathBuf, PathBuf)> {
        let (_, original) = self.firmware.files()?;
        Some((self.folder.join("variables.fd"), original.into()))
    }

    /// The QEMU command. It exits when the VM powers off or resets.
    pub fn command(&self) -> Command {
        let command = Command::new(self.firmware.program(), &self.folder)
            .args(execution(self.accelerator))
            .args(self.firmware.board())
            .args(["-smp", "1", "-no-reboot"])
            .arg("-m")
            .arg(self.memory.to_string())
            .args(["-display", "none", "-serial", "file:console.log"])
            .args(["-qmp", "unix:qmp,server=on,wait=off"])
            .args(["-nic", "user,model=virtio-net-pci"])
            .args(["-device", "virtio-scsi-pci", "-boot", "menu=off"])
            .arg("-smbios")
            .arg(format!("type=1,serial={}", self.serial));
        let command = self.credentials.iter().fold(command, |command, (name, value)| {
            let value = BASE64_STANDARD.encode(value);
            command
                .arg("-smbios")
                .arg(format!("type=11,value=io.systemd.credential.binary:{name}={value}"))
        });
        let command = match &self.kernel {
            None => command,
            Some(kernel) => command
                .arg("-kernel")
                .arg(&kernel.image)
                .arg("-initrd")
                .arg(&kernel.initramfs)
                .arg("-append")
                .arg(&kernel.command_line),
        };
        let command = match self.firmware.files() {
            None => command,
            Some((code, _)) => command
                .arg("-drive")
                .arg(format!("if=pflash,format=raw,readonly=on,file={code}"))
                .args(["-drive", "if=pflash,format=raw,file=variables.fd"]),
        };
        self.drives.iter().enumerate().fold(command, |command, (index, drive)| {
            drive.arguments(index).into_iter().fold(command, Command::arg)
        })
    }

    /// A QMP monitor for the running VM.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.folder.join("qmp"))
    }
}

impl Drive {
    fn arguments(&self, index: usize) -> Vec<String> {
        let Self { id, kind, bytes_per_second, .. } = self;
        // QEMU options: a comma ends a value, a doubled comma is literal.
        let file = self.file.to_string_lossy().replace(',', ",,");
        let mut backend = format!("if=none,id={id},format=raw,file={file}");
        if *bytes_per_second > 0 {
            backend.push_str(",throttling.bps-read=");
            backend.push_str(&bytes_per_second.to_string());
        }
        let frontend = match kind {
            DriveKind::Cd => {
                backend.push_str(",media=cdrom,readonly=on");
                // With direct boot, QEMU gives the kernel `bootindex` 0.
                format!("scsi-cd,id={id}-drive,drive={id},bootindex={}", index + 1)
            }
            DriveKind::Disk => format!("virtio-blk-pci,drive={id},serial={id}"),
            DriveKind::Nvme => format!("nvme,drive={id},serial={id}"),
        };
        vec!["-drive".to_owned(), backend, "-device".to_owned(), frontend]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_can_be_written_and_a_comma_ends_no_value() {
        let drive =
            |kind| Drive { id: "d".to_owned(), file: "/a,b".into(), kind, bytes_per_second: 0 };
        let cd = drive(DriveKind::Cd).arguments(0);
        assert_eq!(cd[1], "if=none,id=d,format=raw,file=/a,,b,media=cdrom,readonly=on");
        assert!(!drive(DriveKind::Disk).arguments(1)[1].contains("readonly"));
    }
}
