// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares a disk with the identity that the recipe gives.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{major, minor};

use crate::disk;

/// Returns the folder of `disk` in sysfs.
pub(crate) fn sysfs(disk: &Path) -> Result<PathBuf> {
    let failed = || format!("cannot find the disk {}", disk.display());
    let device = fs::metadata(disk).with_context(failed)?.rdev();
    Ok(PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device))))
}

/// Fails if `id` is not `disk`, or if its serial number or size differs.
pub(crate) fn check(id: &Path, disk: &Path, serial: &str, size: u64) -> Result<()> {
    let shown = id.display();
    let real = fs::canonicalize(id).with_context(|| format!("cannot find the disk {shown}"))?;
    ensure!(real == disk, "{shown} is {} now, and was {}", real.display(), disk.display());
    let found = self::serial(&sysfs(disk)?);
    let found =
        found.with_context(|| format!("{shown} has no serial number, so it is left alone"))?;
    ensure!(
        found == serial,
        "{shown} has the serial number {found:?}, and the recipe names {serial:?}: it is left alone"
    );
    let found = disk::inspect(disk)?.size;
    ensure!(
        found == size,
        "{shown} has {found} bytes, and the recipe names {size}: it is left alone"
    );
    Ok(())
}

/// Serial number of the disk at `sysfs`: of NVM Express, virtio, SCSI and ATA disks. A loop device has
/// the path of its file.
fn serial(sysfs: &Path) -> Option<String> {
    let text = |name: &str| fs::read(sysfs.join(name)).ok();
    // Unit Serial Number page (SPC-4, 7.8.15): a header of four bytes.
    let scsi = || text("device/vpd_pg80").and_then(|page| Some(page.get(4..)?.to_owned()));
    let found = text("device/serial").or_else(|| text("serial")).or_else(scsi);
    let found = found.or_else(|| text("loop/backing_file"))?;
    let found = String::from_utf8_lossy(&found);
    let found = found.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!found.is_empty()).then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_where_each_driver_has_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(serial(dir.path()), None);
        fs::create_dir_all(dir.path().join("device")).unwrap();
        fs::write(dir.path().join("device/vpd_pg80"), b"\x00\x80\x00\x14      SERIAL0002  ")
            .unwrap();
        assert_eq!(serial(dir.path()).as_deref(), Some("SERIAL0002"));
        fs::write(dir.path().join("serial"), "virtio-7\n").unwrap();
        assert_eq!(serial(dir.path()).as_deref(), Some("virtio-7"));
        fs::write(dir.path().join("device/serial"), "SERIAL0001      \n").unwrap();
        assert_eq!(serial(dir.path()).as_deref(), Some("SERIAL0001"));
    }
}
