// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Inspects the target disk, and rejects disks that must not be overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::fs::{OFlags, ioctl_blksszget, major, minor};
use rustix::io::Errno;

/// Offset of the primary volume descriptor of an ISO 9660 image (ECMA-119, 6.2.1 and 8.4).
const ISO_DESCRIPTOR: u64 = 16 * 2048;

/// Properties of a disk that planning needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskFacts {
    /// Size in bytes.
    pub(crate) size: u64,
    /// Size of a logical sector in bytes, the unit of the partition table.
    pub(crate) sector_size: u64,
}

/// Reads the properties of the block device `disk`.
pub(crate) fn inspect(disk: &Path) -> Result<DiskFacts> {
    let shown = disk.display();
    let metadata = fs::metadata(disk).with_context(|| format!("cannot find the disk {shown}"))?;
    ensure!(metadata.file_type().is_block_device(), "{shown} is not a block device");
    let failed = || format!("cannot read the size of {shown}");
    let mut file = File::open(disk).with_context(failed)?;
    let size = file.seek(SeekFrom::End(0)).with_context(failed)?;
    let sector_size = u64::from(ioctl_blksszget(&file).with_context(failed)?);
    Ok(DiskFacts { size, sector_size })
}

/// Rejects disks that must not be overwritten: partitions, read-only or busy disks, boot media.
pub(crate) fn check(disk: &Path) -> Result<()> {
    let shown = disk.display();
    let device = fs::metadata(disk).with_context(|| format!("cannot find {shown}"))?.rdev();
    let sysfs = PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)));
    ensure!(!sysfs.join("partition").exists(), "{shown} is a partition, not a whole disk");
    let read_only = fs::read_to_string(sysfs.join("ro")).is_ok_and(|text| text.trim() == "1");
    ensure!(!read_only, "{shown} is read-only");

    // The kernel tracks all users of a disk and its partitions, in all mount namespaces: an
    // exclusive open fails while there is one (open(2), O_EXCL on a block device).
    let exclusive = i32::try_from(OFlags::EXCL.bits())?;
    let mut file = match OpenOptions::new().read(true).custom_flags(exclusive).open(disk) {
        Ok(file) => file,
        Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {
            bail!("{shown} is in use: {}", users(&sysfs).join("; "))
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open {shown}")),
    };
    if let Some(name) = boot_medium(&sysfs, &mut file) {
        bail!(
            "{shown} is a removable medium with the ISO image '{name}', as a boot medium is, so it is \
             left alone; if it really is the disk to install to, run `wipefs --all {shown}` first"
        );
    }
    Ok(())
}

/// Returns the volume id of an ISO image on a removable medium: the maintenance OS may have booted
/// from it and run from memory since. A medium in use is busy, and one in an optical drive is
/// read-only.
///
/// Fixed disks are not checked: a previous user of the host could leave an ISO image there to block
/// reprovisioning.
fn boot_medium(sysfs: &Path, disk: &mut File) -> Option<String> {
    let removable = fs::read_to_string(sysfs.join("removable"));
    removable.is_ok_and(|text| text.trim() == "1").then(|| iso_volume(disk)).flatten()
}

/// Attempts to find a partition, and the delay between them: 30 seconds in all.
const WAITS: (u32, Duration) = (150, Duration::from_millis(200));

/// Waits until the kernel reports each partition with its size in bytes.
pub(crate) fn wait_for_partitions(partitions: &[(PathBuf, u64)]) -> Result<()> {
    for (device, expected) in partitions {
        let mut found = Err(anyhow!("not checked"));
        for _ in 0..WAITS.0 {
            found = check_size(device, *expected);
            if found.is_ok() {
                break;
            }
            sleep(WAITS.1);
        }
        found.with_context(|| {
            format!(
                "the kernel does not show {} as the new partition table has it (in a container, \
                 /dev must be the host's)",
                device.display()
            )
        })?;
    }
    Ok(())
}

fn check_size(device: &Path, expected: u64) -> Result<()> {
    ensure!(fs::metadata(device)?.file_type().is_block_device(), "it is not a block device");
    let size = File::open(device)?.seek(SeekFrom::End(0))?;
    ensure!(size == expected, "it has {size} bytes, not {expected}");
    Ok(())
}

/// Returns the volume id of the ISO 9660 image on a disk, if any.
fn iso_volume(file: &mut File) -> Option<String> {
    let mut descriptor = [0; 72];
    file.seek(SeekFrom::Start(ISO_DESCRIPTOR)).ok()?;
    file.read_exact(&mut descriptor).ok()?;
    let (head, rest) = descriptor.split_at(40);
    (head.get(1..6) == Some(b"CD001"))
        .then(|| String::from_utf8_lossy(rest).trim_end_matches([' ', '\0']).to_owned())
}

/// Visible users of the disk at `sysfs` (`/sys/dev/block/MAJOR:MINOR`).
fn users(sysfs: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mut parts = vec![sysfs.to_owned()];
    parts.extend(entries(sysfs).into_iter().filter(|path| path.join("partition").exists()));
    let mut users = Vec::new();
    for part in parts {
        let device = fs::read_to_string(part.join("dev")).unwrap_or_default();
        let name = kernel_name(&part);
        for place in find_mount_points(&mounts, device.trim()) {
            users.push(format!("{name} is mounted at {place}"));
        }
        if swaps.lines().any(|line| line.split_whitespace().next() == Some(&name)) {
            users.push(format!("{name} is used as swap (swapoff {name})"));
        }
        for holder in entries(&part.join("holders")) {
            let holder = kernel_name(&holder);
            users.push(format!(
                "{name} is part of {holder} (stop it: vgchange --activate n, mdadm --stop, \
                 dmsetup remove)"
            ));
        }
    }
    if users.is_empty() {
        users.push("another process or container uses it".to_owned());
    }
    users.sort();
    users
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map_or_else(|_| Vec::new(), |list| list.flatten().map(|e| e.path()).collect())
}

/// The path `/dev/NAME` of an entry in sysfs.
fn kernel_name(sysfs: &Path) -> String {
    let real = fs::canonicalize(sysfs).unwrap_or_else(|_| sysfs.to_owned());
    format!("/dev/{}", real.file_name().unwrap_or_default().to_string_lossy())
}

/// Mount points of the device `MAJOR:MINOR` in `mountinfo` (proc(5)).
fn find_mount_points<'a>(mountinfo: &'a str, device: &str) -> Vec<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.nth(2) == Some(device)).then(|| fields.nth(1)).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_by_device_number() {
        let mountinfo = "22 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n\
                         23 22 8:1 / /boot/efi rw - vfat /dev/sda1 rw\n\
                         24 22 8:2 /srv /data rw - ext4 /dev/sda2 rw\n";
        assert_eq!(find_mount_points(mountinfo, "8:2"), ["/", "/data"]);
        assert_eq!(find_mount_points(mountinfo, "8:1"), ["/boot/efi"]);
        assert!(find_mount_points(mountinfo, "8:17").is_empty());
    }

    #[test]
    fn an_iso_image_is_known_by_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let mut bytes = vec![0; 40_000];
        fs::write(&path, &bytes).unwrap();
        assert_eq!(iso_volume(&mut File::open(&path).unwrap()), None);
        bytes[32_768..32_774].copy_from_slice(b"\x01CD001");
        bytes[32_808..32_840].copy_from_slice(b"MAINTENANCE                     ");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(iso_volume(&mut File::open(&path).unwrap()).as_deref(), Some("MAINTENANCE"));
        fs::write(&path, "short").unwrap();
        assert_eq!(iso_volume(&mut File::open(&path).unwrap()), None);
    }

    #[test]
    fn an_iso_image_on_a_fixed_disk_is_no_boot_medium() {
        let sysfs = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; 40_000];
        bytes[32_768..32_774].copy_from_slice(b"\x01CD001");
        bytes[32_808..32_840].copy_from_slice(b"TASK_EVIL                       ");
        let path = sysfs.path().join("disk");
        fs::write(&path, &bytes).unwrap();
        let found = |removable: &str| {
            fs::write(sysfs.path().join("removable"), removable).unwrap();
            boot_medium(sysfs.path(), &mut File::open(&path).unwrap())
        };
        assert_eq!(found("0\n"), None);
        assert_eq!(found("1\n").as_deref(), Some("TASK_EVIL"));
    }

    #[test]
    fn only_a_block_device_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(inspect(&file).unwrap_err().to_string().contains("not a block device"));
        let missing = format!("{:#}", inspect(&dir.path().join("none")).unwrap_err());
        assert!(missing.contains("cannot find the disk"), "{missing}");
    }
}
