// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Commands that build the parts of a live ISO.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use foundation::checksum;
use foundation::command::Command;
use release::Architecture;

/// Size of the EFI system partition in KiB: the shim and GRUB take about 4 MB.
const ESP_KILOBYTES: &str = "8192";

/// Compresses the root file system in the tar file `tar`. Level 15 takes ten times the processor
/// time for a result that is 3.6 % smaller; larger blocks would make slow media slower.
pub fn squash(tar: &Path, output: &Path, epoch: u64) -> Command {
    // mksquashfs 4.5.1 ignores -root-time together with -tar, so SOURCE_DATE_EPOCH sets the root's
    // time.
    Command::new("mksquashfs", "/")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .arg("-")
        .arg(output)
        .args(["-tar", "-comp", "zstd", "-Xcompression-level", "9", "-b", "256K"])
        .args(["-root-mode", "0755"])
        .args(["-exit-on-error", "-quiet", "-no-progress", "-noappend"])
        .input(tar)
}

/// Writes the dm-verity tree of the file `root`, and prints its root hash.
pub fn verity(root: &Path, output: &Path) -> Command {
    Command::new("veritysetup", "/")
        .args(["format", "--no-superblock", "--salt=-", "--hash=sha256"])
        .args([root, output])
}

/// Parses the root hash, lower-case hex, from the output of [`verity`].
pub fn root_hash(printed: &str) -> Result<String> {
    let hash = printed.lines().find_map(|line| line.strip_prefix("Root hash:"));
    let hash = hash.context("veritysetup printed no root hash")?.trim();
    ensure!(checksum::is_sha256(hash), "veritysetup printed the root hash {hash:?}");
    Ok(hash.to_owned())
}

/// Unpacks the package file `package` to `folder`, without installing it.
pub fn unpack(package: &Path, folder: &Path) -> Command {
    Command::new("dpkg-deb", "/").arg("--extract").arg(package).arg(folder)
}

/// File name of the boot loader on removable media (UEFI 2.10, 3.5.1.1).
fn removable_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "BOOTX64.EFI",
        Architecture::Arm64 => "BOOTAA64.EFI",
    }
}

/// Architecture suffix of EFI programs.
fn suffix(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x64",
        Architecture::Arm64 => "aa64",
    }
}

/// Creates the EFI system partition with the shim, started by the firmware, and GRUB, started by
/// the shim, with `configuration`. `boot` contains the unpacked packages; every time is `epoch`, in
/// seconds.
pub fn esp(
    boot: &Path,
    configuration: &Path,
    architecture: Architecture,
    epoch: u64,
    output: &Path,
) -> Vec<Command> {
    let suffix = suffix(architecture);
    let grub =
        format!("usr/lib/grub/{}-efi-signed/gcd{suffix}.efi.signed", grub_name(architecture));
    let shim = boot.join(format!("usr/lib/shim/shim{suffix}.efi.signed"));
    let mtools = |program: &str| {
        Command::new(program, "/")
            .env("TZ", "UTC")
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .arg("-i")
            .arg(output)
    };
    vec![
        Command::new("mkfs.vfat", "/")
            .args(["--invariant", "-n", "ESP", "-C"])
            .arg(output)
            .arg(ESP_KILOBYTES),
        mtools("mmd").args(["::/EFI", "::/EFI/BOOT", "::/boot", "::/boot/grub"]),
        mtools("mcopy").arg(shim).arg(format!("::/EFI/BOOT/{}", removable_name(architecture))),
        mtools("mcopy").arg(boot.join(grub)).arg(format!("::/EFI/BOOT/grub{suffix}.efi")),
        mtools("mcopy").arg(configuration).arg("::/boot/grub/grub.cfg"),
    ]
}

fn grub_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "arm64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_hash_is_read_and_checked() {
        let hash = "0a".repeat(32);
        let printed = format!("VERITY header information\nSalt:    -\nRoot hash:      \t{hash}\n");
        assert_eq!(root_hash(&printed).unwrap(), hash);
        assert!(root_hash("Root hash: xyz\n").is_err());
        assert!(root_hash("").is_err());
    }
}
