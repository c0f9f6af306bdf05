// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks whether a `grub.cfg` of the distribution boots the installed system.
//!
//! In a chroot, grub-mkconfig succeeds without writing any entry if the kernel is only in
//! `/usr/lib/modules`. With `blscfg`, entries of the Boot Loader Specification may name the root of
//! the host that built the image.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Boot, names};
use crate::files;
use crate::tree;

/// Temporary path of the distribution's configuration, beside `grub.cfg`.
const WRITTEN: &str = "grub.cfg.distribution";
/// Entries of the Boot Loader Specification, type 1.
const ENTRIES: &str = "/boot/loader/entries";
/// Maximum size of a configuration in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Temporary path of the configuration for `folder/grub.cfg`.
pub(crate) fn temporary_path(folder: &str) -> String {
    format!("{folder}/{WRITTEN}")
}

/// Replaces our configuration by the distribution's if that boots the system.
pub(crate) fn accept(root: &Path, boot: &Boot, folder: &Path) -> Result<()> {
    let path = folder.join(WRITTEN);
    if !tree::exists(root, &path) {
        return Ok(());
    }
    let text = read(root, &path)?;
    let folder = tree::folder(root, folder)?;
    let (from, to) = (folder.join(WRITTEN), folder.join("grub.cfg"));
    match find_fault(root, boot, &text) {
        None => files::publish(&from, &to),
        Some(fault) => {
            eprintln!("warning: the configuration of the distribution is not used: {fault}");
            files::remove_if_there(&from)
        }
    }
}

fn read(root: &Path, path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = tree::open(root, path)?;
    let read = file.take(LIMIT).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// Reason why `text` does not boot the system at `root`; `None` if it does.
fn find_fault(root: &Path, boot: &Boot, text: &str) -> Option<String> {
    let lines = || text.lines().map(str::trim);
    let is_linux = |line: &&str| {
        matches!(line.split_whitespace().next(), Some("linux" | "linux16" | "linuxefi"))
    };
    // GRUB boots the first entry.
    if let Some(line) = lines().find(is_linux) {
        return fault_of_entry(root, boot, line.split_whitespace().skip(1));
    }
    if !lines().any(|line| line.split_whitespace().next() == Some("blscfg")) {
        return Some("it has no entry with a kernel".to_owned());
    }
    let mut entries = names(root, ENTRIES).unwrap_or_default();
    entries.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "conf"));
    let mut faults = Vec::new();
    for name in &entries {
        let text = read(root, &Path::new(ENTRIES).join(name)).unwrap_or_default();
        let value = |key: &str| {
            let lines = text.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
            lines.filter(|(name, _)| *name == key).map(|(_, value)| value.trim()).next_back()
        };
        let words = value("linux").into_iter().chain(value("options"));
        faults.extend(fault_of_entry(root, boot, words.flat_map(str::split_whitespace)));
    }
    // GRUB selects the newest entry by rules of the distribution, so all must be valid.
    faults
        .into_iter()
        .next()
        .or_else(|| entries.is_empty().then(|| format!("it reads {ENTRIES}, which has no entry")))
}

/// Reason why an entry does not boot the system; `words` are the kernel and its command line.
fn fault_of_entry<'a>(
    root: &Path,
    boot: &Boot,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let kernel = words.next().unwrap_or_default();
    let uuid = format!("root=UUID={}", boot.root_uuid);
    if !words.any(|word| word == uuid) {
        return Some(format!("its entry has no {uuid}"));
    }
    // A GRUB path is relative to the root, or to the file system of /boot; on Btrfs to a subvolume.
    let path = kernel.strip_prefix("($root)").unwrap_or(kernel);
    let name = Path::new(path).file_name().unwrap_or_default();
    let candidates = [Path::new(path).to_owned(), Path::new("/boot").join(name)];
    let is_there = path.starts_with('/') && candidates.iter().any(|path| tree::exists(root, path));
    (!is_there).then(|| format!("its kernel {kernel} does not exist"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const UUID: &str = "7d444840-9dc0-11d1-b245-5ffdce74fad2";

    /// Returns true if the configuration replaces ours, with these additional files.
    fn is_accepted(text: &str, others: &[(&str, &str)]) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("boot/grub/grub.cfg", "ours");
        write("boot/grub/grub.cfg.distribution", &text.replace("UUID_", UUID));
        for (path, text) in others {
            write(path, &text.replace("UUID_", UUID));
        }
        let boot = Boot { root_uuid: UUID.to_owned(), boot_uuid: None };
        accept(dir.path(), &boot, Path::new("/boot/grub")).unwrap();
        assert!(!dir.path().join("boot/grub/grub.cfg.distribution").exists());
        fs::read_to_string(dir.path().join("boot/grub/grub.cfg")).unwrap() != "ours"
    }

    const KERNEL: (&str, &str) = ("boot/vmlinuz-6.12", "");

    #[test]
    fn a_configuration_with_our_root_and_a_kernel_is_used() {
        for entry in [
            "menuentry 'x' {\n\tlinux\t/boot/vmlinuz-6.12 root=UUID=UUID_ ro quiet\n}",
            "linuxefi ($root)/vmlinuz-6.12 ro root=UUID=UUID_",
            "linux /@/boot/vmlinuz-6.12 root=UUID=UUID_ rootflags=subvol=@",
        ] {
            assert!(is_accepted(entry, &[KERNEL]), "{entry}");
        }
    }

    #[test]
    fn one_without_an_entry_another_root_or_a_missing_kernel_is_not() {
        for entry in [
            "",
            "# linux /boot/vmlinuz-6.12 root=UUID=UUID_",
            "set timeout=5\nsubmenu 'x' {\n}",
            "linux /boot/vmlinuz-6.12 root=UUID=0a0b ro",
            "linux /boot/vmlinuz-6.12 root=/dev/sda1 ro",
            "linux /boot/vmlinuz-6.9 root=UUID=UUID_ ro",
            "linux /boot/vmlinuz-6.12 root=UUID=0a0b\nlinux /boot/vmlinuz-6.12 root=UUID=UUID_",
            "blscfg",
        ] {
            assert!(!is_accepted(entry, &[KERNEL]), "{entry}");
        }
    }

    #[test]
    fn entries_of_the_boot_loader_specification_are_checked() {
        let entry =
            |root: &str| format!("title x\nlinux /vmlinuz-6.12\noptions root=UUID={root} ro\n");
        let ours = entry("UUID_");
        let (first, second) = ("boot/loader/entries/a.conf", "boot/loader/entries/b.conf");
        assert!(is_accepted("insmod blscfg\nblscfg\n", &[KERNEL, (first, &ours)]));
        for foreign in [entry("0a0b"), "linux /vmlinuz-6.12\noptions $kernelopts\n".to_owned()] {
            assert!(!is_accepted("blscfg", &[KERNEL, (first, &ours), (second, &foreign)]));
        }
        assert!(!is_accepted("blscfg", &[(first, &ours)]), "its kernel is missing");
    }
}
