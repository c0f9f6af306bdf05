// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the parts of a live ISO say of each other.
//!
//! The kernel's command line names the volume label and the SHA-256 of `/live/medium`; that file
//! names the digests of what the initial RAM disk and the root are. So a kernel takes the medium that
//! it came from and no other, and nothing on it can differ without being found out.

use release::Architecture;

/// Where dm-verity cuts: blocks of this many bytes, each of sectors of 512.
const BLOCK: u64 = 4096;
const SECTORS: u64 = BLOCK / 512;

/// The facts of `/live/medium`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// SHA-256 of the kernel, lower-case hex, as all the others.
    pub kernel: String,
    /// SHA-256 of the initial RAM disk.
    pub initramfs: String,
    /// Its length in bytes.
    pub initramfs_length: u64,
    /// SHA-256 of the compressed root.
    pub root: String,
    /// The hash at the top of its tree of hashes.
    pub verity: String,
    /// The length of the compressed root in bytes: a multiple of 4096.
    pub length: u64,
}

impl Medium {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let Self { kernel, initramfs, initramfs_length, root, verity, length } = self;
        let blocks = length / BLOCK;
        let sectors = blocks * SECTORS;
        format!(
            "kernel={kernel}\ninitramfs={initramfs}\ninitramfs_bytes={initramfs_length}\nroot={root}\n\
             verity={verity}\nsalt=-\nblocks={blocks}\nsectors={sectors}\n"
        )
    }
}

/// The kernel's command line: `fixed`, which is the same for every medium, the serial console of
/// the architecture, and which medium to take.
pub fn command_line(
    fixed: &str,
    architecture: Architecture,
    label: &str,
    medium_sha256: &str,
) -> String {
    // The last console is the one that programs write to.
    let console = match architecture {
        Architecture::Amd64 => "ttyS0,115200",
        Architecture::Arm64 => "ttyAMA0,115200",
    };
    let fixed: Vec<_> = fixed.split_whitespace().collect();
    format!(
        "console=tty0 console={console} {} provisioner.medium={label}:{medium_sha256}",
        fixed.join(" ")
    )
}

/// `template` with `@VERSION@` and `@CMDLINE@` filled in.
pub fn fill_in(template: &str, version: &str, command_line: &str) -> String {
    template.replace("@VERSION@", version).replace("@CMDLINE@", command_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_medium_is_told_as_the_initial_ram_disk_reads_it() {
        let medium = Medium {
            kernel: "k".to_owned(),
            initramfs: "i".to_owned(),
            initramfs_length: 7,
            root: "r".to_owned(),
            verity: "v".to_owned(),
            length: 40_960,
        };
        insta::assert_snapshot!(medium.to_text(), @r"
        kernel=k
        initramfs=i
        initramfs_bytes=7
        root=r
        verity=v
        salt=-
        blocks=10
        sectors=80
        ");
    }

    #[test]
    fn the_command_line_ends_with_the_medium() {
        let line = command_line("quiet\n panic=60\n", Architecture::Arm64, "LABEL", "0a");
        assert_eq!(
            line,
            "console=tty0 console=ttyAMA0,115200 quiet panic=60 provisioner.medium=LABEL:0a"
        );
        assert_eq!(fill_in("@VERSION@: @CMDLINE@ x", "1", &line), format!("1: {line} x"));
    }
}
