// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Detects installers on an ISO, which would write to a disk without confirmation.

use std::io::{Read, Seek};

use anyhow::Result;
use iso9660::reader::Volume;

/// Size limit of a boot menu, in bytes.
const MENU_LIMIT: u64 = 1 << 20;

/// Signs of an installer on `iso`: kickstart files, and boot menus that start Anaconda or pass a
/// script to an installer (options of Anaconda: `inst.*`, and the older `ks=`; of Debian's
/// installer: `preseed/*`, `auto=true`; of Ubuntu's: `autoinstall`).
pub fn find_traces<R: Read + Seek>(iso: R) -> Result<Vec<String>> {
    let mut volume = Volume::open(iso)?;
    let mut found = Vec::new();
    for (path, entry) in volume.walk()? {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let is = |end: &str| name.ends_with(end);
        if entry.is_directory() {
            continue;
        }
        if is(".ks") || is("ks.cfg") || is("preseed.cfg") {
            found.push(format!("{path} is a script for an installer"));
        } else if (is(".cfg") || is(".conf")) && entry.size() <= MENU_LIMIT {
            let text = volume.read_file(&entry, MENU_LIMIT)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let words = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let options = words.flat_map(str::split_whitespace).filter(|word| installs(word));
            found.extend(options.map(|word| format!("{path} has the option {word}")));
        }
    }
    found.sort();
    Ok(found)
}

fn installs(option: &str) -> bool {
    ["inst.", "ks=", "preseed/"].iter().any(|start| option.starts_with(start))
        || matches!(option, "autoinstall" | "auto=true")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use iso9660::{Directory, Image, Labels, Metadata, Node, Source};

    use super::*;

    fn iso(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: 0 };
        let mut root = Directory::new(metadata(0o555));
        for (path, text) in files {
            root.insert(path, Node::File(metadata(0o444), Source::bytes(*text))).unwrap();
        }
        let labels = Labels { volume: "X".to_owned(), ..Labels::default() };
        let file = tempfile::NamedTempFile::new().unwrap();
        Image { labels, epoch: 0, root, boot: None }.write_to_file(file.path()).unwrap();
        Cursor::new(std::fs::read(file.path()).unwrap())
    }

    #[test]
    fn an_installer_is_detected_by_its_scripts_and_options() {
        let menu = "linux /vmlinuz inst.ks=hd:LABEL=X:/osbuild.ks quiet\n# inst.text\n";
        let found = find_traces(iso(&[("osbuild.ks", "zerombr\n"), ("boot/grub/grub.cfg", menu)]));
        assert_eq!(
            found.unwrap(),
            [
                "boot/grub/grub.cfg has the option inst.ks=hd:LABEL=X:/osbuild.ks",
                "osbuild.ks is a script for an installer",
            ]
        );
    }

    #[test]
    fn a_live_system_has_none() {
        let menu = "linux /live/vmlinuz quiet systemd.swap=0 toram\n";
        let found =
            find_traces(iso(&[("boot/grub/grub.cfg", menu), ("live/root.squashfs", "ks=")]));
        assert_eq!(found.unwrap(), Vec::<String>::new());
    }
}
