// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Golden bytes of fixed inputs, to detect changes of the format.
//!
//! After an intended change, run the tests with `UPDATE_GOLDEN=1` and review the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use iso9660::task::TaskIso;
use iso9660::{BiosBoot, Boot, Source};
use sha2::{Digest, Sha256};

use crate::facts::{image, sample, write};

fn task() -> TaskIso {
    TaskIso {
        job_id: "0192f0c1-2b3c-7d4e-8f50-61728394a5b6".to_owned(),
        epoch: 1_767_225_600,
        recipe: b"{\"task_target\":\"install-linux.target\"}\n".to_vec(),
        schema: b"{\"$id\":\"https://schema.example/recipe/1\"}\n".to_vec(),
        user_data: Some(b"#cloud-config\n".to_vec()),
        signature: Some(vec![0x5A; 64]),
        ..TaskIso::default()
    }
}

/// Digest, and a hex dump without the zero lines.
fn dump(image: &[u8], until: usize) -> String {
    let mut out = format!("sha256 {:x}\n", Sha256::digest(image));
    for (i, line) in image[..until].chunks(16).enumerate().filter(|(_, c)| c.iter().any(|&b| b > 0))
    {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' })
            .collect();
        writeln!(out, "{:06x}  {}  |{text}|", i * 16, hex.join(" ")).unwrap();
    }
    out
}

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs from\n{found}", path.display());
}

#[test]
fn a_task_image_has_its_known_bytes() {
    let bytes = task().to_bytes().unwrap();
    compare("task.hex", &dump(&bytes, bytes.len()));
}

#[test]
fn a_task_image_on_disk_has_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.iso");
    let size = task().write_to_file(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(bytes, task().to_bytes().unwrap());
}

#[test]
fn a_bootable_image_has_its_known_bytes() {
    let mut image = image(&sample());
    image.boot = Some(Boot {
        bios: Some(BiosBoot { path: "more".to_owned(), load_sectors: 4, info_table: true }),
        esp: Some(Source::bytes(vec![0xE5; 5000])),
        disk_guid: *b"0123456789abcdef",
        mbr_code: Some(vec![0x90; 432]),
    });
    // The partition table, the descriptors and the boot catalog.
    compare("boot.hex", &dump(&write(&image), 25 * 2048));
}
