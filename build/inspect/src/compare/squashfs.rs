// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares squashfs file systems, such as the root of the live ISO, with `unsquashfs`, which is
//! installed together with `mksquashfs`.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

use super::Difference;
use super::members::{Member, archives};

/// Magic (Linux, `SQUASHFS_MAGIC` of `fs/squashfs/squashfs_fs.h`).
const MAGIC: &[u8] = b"hsqs";
/// Separator between the lines and the data of a pseudo file.
const DATA: &[u8] = b"#\n# START OF DATA - DO NOT MODIFY\n#\n";

/// The differing file, if both are squashfs file systems; `None` without `unsquashfs`.
pub(super) fn file_system(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(members(first)?, members(second)?)
}

fn members(image: &[u8]) -> Option<Vec<Member>> {
    if !image.starts_with(MAGIC) {
        return None;
    }
    of_pseudo_file(&pseudo_file(image)?)
}

/// The file system as a pseudo file (the format of `mksquashfs -pf`): one line per file, then the
/// data.
fn pseudo_file(image: &[u8]) -> Option<Vec<u8>> {
    let mut file = File::from(memfd_create("squashfs", MemfdFlags::CLOEXEC).ok()?);
    file.write_all(image).ok()?;
    let output = Command::new("unsquashfs")
        .args(["-no-progress", "-pf", "/dev/stdout", "/dev/stdin"])
        .stdin(file)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// Parses lines `PATH TYPE MTIME MODE UID GID REST`, with backslash escapes in the path; the rest
/// is a link target, device numbers, or length and offset of the content.
fn of_pseudo_file(text: &[u8]) -> Option<Vec<Member>> {
    let end = text.windows(DATA.len()).position(|it| it == DATA)?;
    let data = text.get(end + DATA.len()..)?;
    let lines = String::from_utf8_lossy(text.get(..end)?).into_owned();
    lines.lines().map(|line| member(line, data)).collect()
}

fn member(line: &str, data: &[u8]) -> Option<Member> {
    let mut path = String::new();
    let mut left = line.chars();
    loop {
        match left.next()? {
            ' ' => break,
            '\\' => path.push(left.next()?),
            letter => path.push(letter),
        }
    }
    let (kind, values) = left.as_str().split_once(' ')?;
    // A hard link has no fields of its own.
    if kind == "L" {
        let fields = vec![("type", kind.to_owned()), ("link", values.to_owned())];
        return Some(Member { path, fields, content: Vec::new() });
    }
    let mut values = values.splitn(5, ' ').map(str::to_owned);
    let names = ["mtime", "mode", "uid", "gid"];
    let mut fields = vec![("type", kind.to_owned())];
    for name in names {
        fields.push((name, values.next()?));
    }
    let rest = values.next().unwrap_or_default();
    let content = if kind == "R" {
        let mut numbers = rest.split(' ').map(str::parse::<usize>);
        let (length, offset) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        data.get(offset..offset.checked_add(length)?)?.to_owned()
    } else {
        fields.push(("link", rest));
        Vec::new()
    };
    Some(Member { path, fields, content })
}
