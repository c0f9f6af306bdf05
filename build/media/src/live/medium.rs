// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Chain of digests between the parts of a live ISO.
//!
//! The kernel's command line contains the volume label and the SHA-256 of `/live/medium`; that file
//! contains the digests of initial RAM disk and root. So a kernel only accepts its own medium, and
//! any modification is detected.

use release::Architecture;

/// Block size of dm-verity in bytes, and in sectors of 512 bytes.
const BLOCK: u64 = 4096;
const SECTORS: u64 = BLOCK / 512;

/// Content of `/live/medium`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// SHA-256 of the kernel, in lower-case hex like all others.
    pub kernel: String,
    /// SHA-256 of the initial RAM disk.
    pub initramfs: String,
    /// Its length in bytes.
    pub initramfs_length: u64,
    /// SHA-256 of the squashfs root.
    pub root: String,
    /// Root hash of its dm-verity tree.
    pub verity: String,
    /// Length of the squashfs root in bytes: a multiple of 4096.
    pub length: u64,
}

impl Medium {
    /// Text of the file.
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

/// The kernel's command line: `fixed` (the same for every medium), the architecture's serial
/// console, and the identity of the medium.
pub fn command_line(
    fixed: &str,
    architecture: Architecture,
    label: &str,
    medium_sha256: &str,
) -> String {
    // Programs write to the last console.
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

/// Replaces `@VERSION@` and `@CMDLINE@` in `template`.
pub fn fill_in(template: &str, version: &str, command_line: &str) -> String {
    template.replace("@VERSION@", version).replace("@CMDLINE@", command_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_medium_has_the_format_of_the_initial_ram_disk() {
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
