// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How a disk is erased: the methods, and what a disk supports.

mod identity;
pub(crate) mod method;
mod nvme;
mod overwrite;
mod security;
mod verify;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::action::Action;
use crate::command;
use crate::program::Program;

use self::method::Method;
pub(crate) use identity::{check as check_identity, sysfs};
pub(crate) use nvme::await_sanitize;
pub(crate) use overwrite::{overwrite, overwrite_unless_zero};
pub(crate) use verify::{mark, verify};

/// ATA user password during an erase. Not a secret: the erase removes it, and after an interrupted
/// one it unlocks the disk.
const ATA_PASSWORD: &str = "provisioner";

/// The method for one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) method: Method,
    /// An interrupted ATA erase has left the password.
    has_password: bool,
}

impl From<Method> for Choice {
    fn from(method: Method) -> Self {
        Self { method, has_password: false }
    }
}

/// Returns the best method that `disk`, a kernel name, supports. Changes nothing.
pub(crate) fn choose(disk: &Path) -> Result<Choice> {
    let name = disk.file_name().unwrap_or_default().to_string_lossy();
    let shown = disk.display().to_string();
    let sysfs = sysfs(disk)?;
    if name.starts_with("nvme") {
        let program = Program::new("nvme", ["id-ctrl", "--raw-binary", &shown]);
        match command::capture(&program) {
            Ok(controller) => {
                let is_alone = nvme::namespaces(&sysfs)? == 1;
                if let Some(method) = nvme::choose(&controller, is_alone) {
                    return Ok(method.into());
                }
            }
            Err(error) => eprintln!("warning: {error:#}"),
        }
    } else if name.starts_with("sd") {
        // Disks that are not ATA refuse it.
        let identity = command::run(&Program::new("hdparm", ["-I", &shown])).unwrap_or_default();
        if let Some(choice) = security::choose(&identity) {
            return Ok(choice);
        }
    }
    let most = fs::read_to_string(sysfs.join("queue/discard_max_bytes")).unwrap_or_default();
    let can_discard = most.trim().parse().is_ok_and(|bytes: u64| bytes > 0);
    Ok(if can_discard { Method::Discard } else { Method::Overwrite }.into())
}

/// The actions that erase `disk`.
pub(crate) fn actions(disk: &Path, size: u64, choice: Choice) -> Vec<Action> {
    let name = disk.display().to_string();
    let sanitize = |action: &str| {
        let action = format!("--sanact={action}");
        vec![
            Action::run(Program::new("nvme", ["sanitize", &action, &name])),
            Action::AwaitSanitize { disk: disk.to_owned() },
        ]
    };
    match choice.method {
        Method::NvmeSanitizeBlock => sanitize("start-block-erase"),
        Method::NvmeSanitizeCrypto => sanitize("start-crypto-erase"),
        Method::NvmeFormat => {
            vec![Action::run(Program::new("nvme", ["format", "--ses=1", "--force", &name]))]
        }
        Method::AtaEnhancedErase => ata("--security-erase-enhanced", &name, choice.has_password),
        Method::AtaSecureErase => ata("--security-erase", &name, choice.has_password),
        Method::Discard => vec![
            Action::run(Program::new("blkdiscard", ["--force", &name])),
            Action::Overwrite { disk: disk.to_owned(), size, unless_zero: true },
        ],
        Method::Overwrite => {
            vec![Action::Overwrite { disk: disk.to_owned(), size, unless_zero: false }]
        }
    }
}

/// SECURITY ERASE UNIT needs a password (ACS-3, 7.45).
fn ata(erase: &str, disk: &str, has_password: bool) -> Vec<Action> {
    let hdparm = |verb: &str| {
        Action::run(Program::new("hdparm", ["--user-master", "u", verb, ATA_PASSWORD, disk]))
    };
    let set = (!has_password).then(|| hdparm("--security-set-pass"));
    set.into_iter().chain([hdparm(erase)]).collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_commands_of_every_method_are_as_recorded() {
        let mut lines = Vec::new();
        for method in Method::value_variants() {
            assert_eq!(method.to_possible_value().unwrap().get_name(), method.to_string());
            lines.push(method.to_string());
            let actions = actions(Path::new("/dev/sda"), 1 << 30, (*method).into());
            lines.extend(actions.iter().map(|action| format!("  {action}")));
        }
        let choice = Choice { method: Method::AtaSecureErase, has_password: true };
        let interrupted = actions(Path::new("/dev/sda"), 1 << 30, choice);
        assert_eq!(interrupted.len(), 1, "the password is there: {interrupted:?}");
        insta::assert_snapshot!(lines.join("\n"));
    }
}
