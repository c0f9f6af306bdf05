// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages (deb(5), deb-control(5)): an `ar` archive of the format version, the control
//! archive and the files.

use anyhow::{Context as _, Result, ensure};

use crate::description::Description;
use crate::{gzip, scripts};

/// Builds the package that `description` describes.
pub(crate) fn write(description: &Description) -> Result<Vec<u8>> {
    let control = control_archive(description).context("cannot write control.tar.gz")?;
    let data = data_archive(description).context("cannot write data.tar.gz")?;
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".as_slice()),
        ("control.tar.gz", &control),
        ("data.tar.gz", &data),
    ] {
        // Name, time, owner, group, mode, size (ar(5)); members start at even offsets.
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            description.epoch,
            0,
            0,
            "100644",
            bytes.len()
        );
        out.extend(header.as_bytes());
        out.extend(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    Ok(out)
}

/// A tar archive with one time, owned by root.
struct Archive {
    inner: tar::Builder<Vec<u8>>,
    epoch: u64,
}

impl Archive {
    fn new(epoch: u64) -> Result<Self> {
        let mut archive = Self { inner: tar::Builder::new(Vec::new()), epoch };
        archive.folder("/")?;
        Ok(archive)
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        let path = if path == "/" { "./".to_owned() } else { format!(".{path}/") };
        self.append(&path, tar::EntryType::Directory, 0o755, &[])
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.append(&format!(".{path}"), tar::EntryType::Regular, mode, bytes)
    }

    fn append(&mut self, path: &str, kind: tar::EntryType, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(self.epoch);
        header.set_size(bytes.len() as u64);
        // `set_path` drops the leading `./` of dpkg's own archives.
        let field = header.as_gnu_mut().context("the header is not GNU's")?;
        ensure!(path.len() < field.name.len(), "the path {path} is too long for a tar header");
        for (to, from) in field.name.iter_mut().zip(path.bytes()) {
            *to = from;
        }
        header.set_cksum();
        self.inner.append(&header, bytes)?;
        Ok(())
    }

    /// Returns the compressed archive.
    fn finish(self) -> Result<Vec<u8>> {
        gzip::compress(&self.inner.into_inner()?)
    }
}

fn control_archive(description: &Description) -> Result<Vec<u8>> {
    let mut archive = Archive::new(description.epoch)?;
    let files = description.files.iter().filter(|file| file.config);
    let conffiles: Vec<_> = files.map(|file| file.path.as_str()).collect();
    if !conffiles.is_empty() {
        archive.file("/conffiles", 0o644, format!("{}\n", conffiles.join("\n")).as_bytes())?;
    }
    archive.file("/control", 0o644, control(description)?.as_bytes())?;
    let unit = &description.unit;
    for (name, script) in [
        ("/postinst", scripts::DEB_POSTINST),
        ("/postrm", scripts::DEB_POSTRM),
        ("/prerm", scripts::DEB_PRERM),
    ] {
        let script = format!("#!/bin/sh\n{}", scripts::fill(script, unit, &description.state));
        archive.file(name, 0o755, script.as_bytes())?;
    }
    archive.finish()
}

fn control(description: &Description) -> Result<String> {
    let mut size = 0;
    for file in &description.files {
        size += file.read()?.len().div_ceil(1024);
    }
    let recommends = match description.recommends.join(", ") {
        names if names.is_empty() => String::new(),
        names => format!("Recommends: {names}\n"),
    };
    let mut text = format!(
        "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {size}\n\
         {recommends}Section: admin\nPriority: optional\nHomepage: {}\nDescription: {}\n",
        description.name,
        description.package_version(),
        description.architecture,
        description.vendor,
        description.homepage,
        description.summary,
    );
    for line in description.text.lines() {
        let line = if line.is_empty() { "." } else { line };
        text.push_str(&format!(" {line}\n"));
    }
    Ok(text)
}

fn data_archive(description: &Description) -> Result<Vec<u8>> {
    let mut archive = Archive::new(description.epoch)?;
    let mut folders = description.parents().into_iter().peekable();
    for file in &description.files {
        while let Some(folder) = folders.next_if(|folder| *folder < file.path) {
            archive.folder(&folder)?;
        }
        archive.file(&file.path, u32::from(file.mode()), &file.read()?)?;
    }
    archive.finish()
}
