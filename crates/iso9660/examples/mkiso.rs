// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Makes an image of a folder: `mkiso FOLDER IMAGE --volume-id ID --epoch SECONDS`.
//!
//! For benchmarks and for trying images by hand; every file is owned by 0:0, and times later
//! than the epoch are set to it. `--bios PATH` names a boot image in the folder, `--esp FILE` an
//! EFI system partition, `--mbr FILE` boot code for USB sticks.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use iso9660::{BiosBoot, Boot, Directory, Image, Labels, Metadata, Node, Source};

fn main() -> Result<(), Box<dyn Error>> {
    let mut labels = Labels::default();
    let mut epoch = 0;
    let mut boot = Boot { bios: None, esp: None, disk_guid: [0; 16], mbr_code: None };
    let mut places = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--volume-id" => labels.volume = value()?,
            "--epoch" => epoch = value()?.parse()?,
            "--bios" => {
                boot.bios = Some(BiosBoot { path: value()?, load_sectors: 4, info_table: true });
            }
            "--esp" => boot.esp = Some(Source::path(value()?)?),
            "--mbr" => boot.mbr_code = Some(fs::read(value()?)?),
            _ => places.push(arg),
        }
    }
    let [folder, image] = places.as_slice() else {
        return Err("usage: mkiso FOLDER IMAGE --volume-id ID --epoch SECONDS".into());
    };
    let mut root = Directory::new(metadata(&fs::metadata(folder)?, epoch));
    add(&mut root, Path::new(folder), "", epoch)?;
    let boot = (boot.bios.is_some() || boot.esp.is_some()).then_some(boot);
    let size = Image { labels, epoch, root, boot }.write_to_file(Path::new(image))?;
    println!("{size}");
    Ok(())
}

fn metadata(from: &fs::Metadata, epoch: u64) -> Metadata {
    let mtime = u64::try_from(from.mtime()).unwrap_or(0).min(epoch);
    Metadata { mode: from.mode() & 0o7777, uid: 0, gid: 0, mtime }
}

fn add(
    root: &mut Directory,
    folder: &Path,
    prefix: &str,
    epoch: u64,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| format!("{}: not UTF-8", name.display()))?;
        let path = format!("{prefix}{name}");
        let found = entry.metadata()?;
        let metadata = metadata(&found, epoch);
        if found.is_dir() {
            root.insert(&path, Node::Directory(Directory::new(metadata)))?;
            add(root, &entry.path(), &format!("{path}/"), epoch)?;
        } else if found.is_symlink() {
            let target = fs::read_link(entry.path())?;
            let target = target.to_str().ok_or_else(|| format!("{path}: target is not UTF-8"))?;
            root.insert(&path, Node::Symlink(metadata, target.to_owned()))?;
        } else {
            root.insert(&path, Node::File(metadata, Source::path(entry.path())?))?;
        }
    }
    Ok(())
}
