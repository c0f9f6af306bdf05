// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Owner, mode, times, extended attributes and ACLs of an entry.

use std::fs::File;
use std::os::fd::AsFd;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;

use super::archive::{Entry, number};
use super::root::{Place, Root};

/// Prefix of an extended attribute in a pax header (star(1), Linux).
const XATTR: &[u8] = b"SCHILY.xattr.";
/// pax keys of textual ACLs (star, GNU tar), and the kernel's extended attributes for them.
const ACLS: [(&[u8], &str); 2] = [
    (b"SCHILY.acl.access", "system.posix_acl_access"),
    (b"SCHILY.acl.default", "system.posix_acl_default"),
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Metadata of an entry.
#[derive(Debug)]
pub(super) struct Attributes {
    owner: Owner,
    mode: u32,
    modified: Timespec,
    /// Extended attributes in archive order.
    extended: Vec<(String, Vec<u8>)>,
    /// The real name of a sparse file in GNU tar's format 1.0.
    pub(super) name: Option<Vec<u8>>,
    /// Total size of a sparse file whose data starts with a map (GNU tar's format 1.0).
    pub(super) sparse_size: Option<u64>,
}

impl Attributes {
    pub(super) fn read(entry: &Entry) -> Result<Self> {
        let header = &entry.header;
        let seconds = i64::try_from(header.mtime()?).context("its time is out of range")?;
        let mut attributes = Self {
            owner: super::owner(header)?,
            mode: header.mode()? & 0o7777,
            modified: Timespec { tv_sec: seconds, tv_nsec: 0 },
            extended: Vec::new(),
            name: None,
            sparse_size: None,
        };
        for (key, value) in &entry.records {
            attributes.take(key, value)?;
        }
        Ok(attributes)
    }

    /// Applies one pax record. The archive reader handles path, link and size.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let id = || u32::try_from(number(value)?).context("an owner has more than 32 bits");
        if let Some(name) = key.strip_prefix(XATTR) {
            let name =
                std::str::from_utf8(name).context("the name of an attribute is not UTF-8")?;
            self.extended.push((name.to_owned(), value.to_vec()));
        } else if let Some((_, name)) = ACLS.into_iter().find(|(acl, _)| *acl == key) {
            self.extended.push((name.to_owned(), acl(std::str::from_utf8(value)?)?));
        } else {
            match key {
                b"mtime" => self.modified = time(value).context("its time is malformed")?,
                b"GNU.sparse.name" => self.name = Some(value.to_vec()),
                b"uid" => self.owner.uid = id()?,
                b"gid" => self.owner.gid = id()?,
                b"GNU.sparse.realsize" => self.sparse_size = Some(number(value)?),
                b"GNU.sparse.major" => ensure!(
                    value == b"1",
                    "it is a sparse file of GNU tar's format 0.x: use --sparse-version=1.0"
                ),
                b"GNU.sparse.map" | b"GNU.sparse.size" | b"GNU.sparse.numblocks" => {
                    bail!("it is a sparse file of GNU tar's format 0.x: use --sparse-version=1.0")
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sets everything but the times of a file or folder. The owner comes first, because changing
    /// it clears set-user-ID bits and capabilities.
    pub(super) fn apply_to_file(&self, file: &File) -> Result<()> {
        let (uid, gid) = self.owner();
        fchown(file, Some(uid), Some(gid)).context("cannot set its owner")?;
        fchmod(file, Mode::from_raw_mode(self.mode)).context("cannot set its mode")?;
        self.set_extended(|name, value| fsetxattr(file.as_fd(), name, value, XattrFlags::empty()))
    }

    /// Sets metadata and times of what can't be opened. Symbolic links have no mode.
    pub(super) fn apply_to_place(&self, place: &Place, has_mode: bool) -> Result<()> {
        let (uid, gid) = self.owner();
        let Place { parent, name } = place;
        chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .context("cannot set its owner")?;
        if has_mode {
            // Newly created, and not a link.
            chmodat(parent, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .context("cannot set its mode")?;
        }
        let path = place.process_path();
        self.set_extended(|name, value| lsetxattr(&path, name, value, XattrFlags::empty()))?;
        self.apply_times(place)
    }

    /// Sets the modification time.
    pub(super) fn apply_times(&self, place: &Place) -> Result<()> {
        let times = self.times();
        utimensat(&place.parent, &place.name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .context("cannot set its time")
    }

    /// Sets the modification time of the root.
    pub(super) fn apply_times_of_root(&self, root: &Root) -> Result<()> {
        futimens(root.folder()?, &self.times()).context("cannot set the time of the root")
    }

    fn times(&self) -> Timestamps {
        let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Timestamps { last_access: unchanged, last_modification: self.modified }
    }

    fn owner(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.owner.uid), Gid::from_raw(self.owner.gid))
    }

    /// Skips attributes that the file system or the container does not permit, as GNU tar does. A
    /// file capability is required by its program, so it is an error.
    fn set_extended(&self, set: impl Fn(&str, &[u8]) -> Result<(), Errno>) -> Result<()> {
        for (name, value) in &self.extended {
            match set(name, value) {
                Ok(()) => {}
                Err(error @ (Errno::OPNOTSUPP | Errno::PERM)) if name != "security.capability" => {
                    eprintln!("unpack: skipped the attribute {}: {error}", name.escape_debug());
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot set the attribute {name:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Parses a pax time: seconds with an optional fraction.
fn time(value: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    if is_negative && nanoseconds > 0 {
        return Some(Timespec {
            tv_sec: seconds.checked_sub(1)?,
            tv_nsec: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Timespec { tv_sec: seconds, tv_nsec: nanoseconds })
}

/// Converts an ACL from text (acl(5)), with entries separated by commas or line feeds, to the
/// kernel's format (`posix_acl_xattr.h`).
fn acl(text: &str) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for line in text.split([',', '\n']) {
        // Strip comments of getfacl.
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        entries.push(acl_entry(line).with_context(|| format!("the ACL entry {line:?}"))?);
    }
    entries.sort_unstable();
    let mut out = 2_u32.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&permissions.to_le_bytes());
        out.extend_from_slice(&id.to_le_bytes());
    }
    Ok(out)
}

/// Parses tag, id and permissions of `user:1000:rw-`. star appends the numeric id if the qualifier
/// is a name.
fn acl_entry(line: &str) -> Result<(u16, u32, u16)> {
    const NOBODY: u32 = u32::MAX;
    let parts: Vec<&str> = line.split(':').collect();
    let (kind, qualifier, permissions, number) = match parts.as_slice() {
        [kind, qualifier, permissions] => (*kind, *qualifier, *permissions, *qualifier),
        [kind, qualifier, permissions, number] => (*kind, *qualifier, *permissions, *number),
        // acl(5) allows `other:r--` and `mask:r--`.
        [kind, permissions] => (*kind, "", *permissions, ""),
        _ => bail!("is malformed"),
    };
    let tag = match (kind, qualifier.is_empty()) {
        ("user" | "u", true) => 0x01,
        ("user" | "u", false) => 0x02,
        ("group" | "g", true) => 0x04,
        ("group" | "g", false) => 0x08,
        ("mask" | "m", true) => 0x10,
        ("other" | "o", true) => 0x20,
        _ => bail!("is malformed"),
    };
    let id = if qualifier.is_empty() {
        NOBODY
    } else {
        number.parse().context("expected the number of a user or group")?
    };
    let mut bits = 0;
    for letter in permissions.chars() {
        bits |= match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            _ => bail!("is malformed"),
        };
    }
    Ok((tag, id, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_take_the_kernels_form() {
        let expected = [
            &[2, 0, 0, 0][..],
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 6, 0, 0xe1, 0x10, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[0x10, 0, 6, 0, 255, 255, 255, 255],
            &[0x20, 0, 4, 0, 255, 255, 255, 255],
        ]
        .concat();
        let text = "user::rw-\nuser:4321:rw-\ngroup::r--\nmask::rw-\nother::r--\n";
        assert_eq!(acl(text).unwrap(), expected);
        let star = "other::r--,mask::rw-,group::r--,user:joe:rw-:4321,user::rw-";
        assert_eq!(acl(star).unwrap(), expected);
        for bad in ["user:joe:rw-", "x::r", "user::z", "a", "user:1:r:2:3"] {
            assert!(acl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_fractions_and_may_be_before_1970() {
        let time = |text: &str| time(text.as_bytes()).map(|time| (time.tv_sec, time.tv_nsec));
        assert_eq!(time("7"), Some((7, 0)));
        assert_eq!(time("7.5"), Some((7, 500_000_000)));
        assert_eq!(time("7.1234567899"), Some((7, 123_456_789)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("7.x"), None);
    }
}
