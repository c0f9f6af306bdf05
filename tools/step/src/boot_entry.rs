// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sets the firmware boot entry of the installed system with efibootmgr.

use std::path::Path;

use anyhow::Result;

use crate::command;
use crate::program::Program;

/// Mount point of the UEFI variables; missing on BIOS systems.
const VARIABLES: &str = "/sys/firmware/efi/efivars";

/// Creates the entry `label` for `loader` on partition `partition` of `disk`, first in the boot
/// order. Deletes existing entries with this label: firmware storage is small, and hosts are
/// provisioned repeatedly.
pub(crate) fn replace(disk: &Path, partition: usize, label: &str, loader: &str) -> Result<()> {
    let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
    if std::fs::read_dir(VARIABLES).map_or(true, is_empty) {
        eprintln!("no boot entry: this host did not boot with UEFI, or {VARIABLES} is not mounted");
        return Ok(());
    }
    for number in numbers(&command::run(&Program::new("efibootmgr", [""; 0]))?, label) {
        let delete = ["--quiet", "--bootnum", number, "--delete-bootnum"];
        command::run(&Program::new("efibootmgr", delete))?;
    }
    let (disk, partition) = (disk.display().to_string(), partition.to_string());
    let create = [
        "--quiet", "--create", "--disk", &disk, "--part", &partition, "--label", label, "--loader",
        loader,
    ];
    command::run(&Program::new("efibootmgr", create))?;
    Ok(())
}

/// Parses efibootmgr's output for the numbers of entries with this label: `Boot0003*
/// LABEL<tab>PATH`.
fn numbers<'a>(printed: &'a str, label: &str) -> Vec<&'a str> {
    printed
        .lines()
        .filter_map(|line| {
            let (number, rest) = line.strip_prefix("Boot")?.split_at_checked(4)?;
            let name = rest.get(1..)?.trim_start().split('\t').next()?.trim_end();
            let is_number = number.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_number && name == label).then_some(number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_whole_label() {
        let printed = "BootCurrent: 0001\nTimeout: 3 seconds\nBootOrder: 0001,0003,000A\n\
                       Boot0001* Installed system\tHD(1,GPT,0f)/File(\\EFI\\BOOT\\BOOTX64.EFI)\n\
                       Boot0003  Installed system 2\tHD(1)\nBoot000A* Installed system\n\
                       Boot0004* UEFI PXE\tPciRoot(0x0)\n";
        assert_eq!(numbers(printed, "Installed system"), ["0001", "000A"]);
    }
}
