// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Native programs for roots of a foreign architecture.
//!
//! Maintainer scripts start thousands of short programs, and QEMU starts each of them ten to twenty
//! times slower than the kernel does. While packages are installed, programs of the host's
//! architecture replace those of the root: the same versions, from the same lock. They are removed
//! afterwards. Native libraries and their loader have paths that no foreign package has (Debian
//! policy 9.1.1, multiarch).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use oci::spec::HistoryBuilder;
use oci::{Layout, artifact, media_type};
use release::Architecture;
use tar::{EntryType, Header};

use super::native_base::{CREATED_BY, NativeBase};
use super::{flatten, normalise};

/// Programs by package. What depends on the architecture is not among them: `dpkg`, `dpkg-query`,
/// `uname`, `arch`, `ldconfig`. Neither is bash, which `ldd` and build scripts run, nor busybox,
/// which the initial RAM disk of the maintenance OS copies.
const PROGRAMS: &[(&str, Selection)] = &[
    ("coreutils", Selection::Except(&["arch", "uname"])),
    ("cpio", Selection::All),
    ("dash", Selection::All),
    ("debianutils", Selection::All),
    ("diffutils", Selection::All),
    ("dpkg", Selection::Only(&["dpkg-deb", "dpkg-split", "update-alternatives"])),
    ("findutils", Selection::All),
    ("grep", Selection::All),
    ("gzip", Selection::All),
    ("kmod", Selection::All),
    ("mawk", Selection::All),
    ("perl-base", Selection::Only(&["perl"])),
    ("sed", Selection::All),
    ("tar", Selection::All),
    ("udev", Selection::Only(&["systemd-hwdb"])),
    ("zstd", Selection::Only(&["zstd"])),
];

/// Changes when the same packages give other files.
pub const RECIPE: &str = "1";

/// Programs of a package.
enum Selection {
    All,
    Only(&'static [&'static str]),
    Except(&'static [&'static str]),
}

impl Selection {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&name),
            Self::Except(names) => !names.contains(&name),
        }
    }
}

/// Whether [`Collector::package`] takes files of `package`: programs, or shared libraries, whose packages are
/// named so (Debian policy 8.1).
pub fn is_needed(package: &str) -> bool {
    package.starts_with("lib")
        || package == "zlib1g"
        || PROGRAMS.iter().any(|(name, _)| *name == package)
}

/// Folder of shared libraries (Debian "Multiarch/Tuples").
fn libraries(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "usr/lib/x86_64-linux-gnu/",
        Architecture::Arm64 => "usr/lib/aarch64-linux-gnu/",
    }
}

/// The dynamic loader in a merged /usr.
fn loader(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "usr/lib64/ld-linux-x86-64.so.2",
        Architecture::Arm64 => "usr/lib/ld-linux-aarch64.so.1",
    }
}

/// Whether `path` is a library, or a module of perl.
fn is_library(architecture: Architecture, path: &str) -> bool {
    path.strip_prefix(libraries(architecture)).is_some_and(|rest| {
        rest.starts_with("perl-base/")
            || rest.starts_with("systemd/libsystemd-shared")
            || !rest.contains('/') && rest.contains(".so")
    })
}

/// Whether `path` is one of the programs of `package`.
fn is_program(package: &str, path: &str) -> bool {
    let name = path.strip_prefix("usr/bin/").or_else(|| path.strip_prefix("usr/sbin/"));
    let selection = PROGRAMS.iter().find(|(known, _)| *known == package);
    name.zip(selection).is_some_and(|(name, (_, selection))| selection.has(name))
}

/// Writes the native programs for roots of another architecture as a tar stream.
///
/// Every folder has an entry before its content, so that a builder gives it the mode that it has in
/// the root.
pub struct Collector<W: Write> {
    architecture: Architecture,
    epoch: u64,
    archive: tar::Builder<W>,
    folders: BTreeSet<String>,
}

impl<W: Write> Collector<W> {
    /// Collects programs of `architecture` in `out`. Folders have the time `epoch`, in seconds.
    pub fn new(architecture: Architecture, epoch: u64, out: W) -> Self {
        let archive = tar::Builder::new(out);
        Self { architecture, epoch, archive, folders: BTreeSet::new() }
    }

    /// Takes what is needed of the files of `package`, a tar stream.
    pub fn package(&mut self, package: &str, files: impl Read) -> Result<()> {
        let mut files = tar::Archive::new(files);
        for entry in files.entries()? {
            let mut entry = entry.context("the package is malformed")?;
            let path = flatten::plain(&entry)?;
            let program = is_program(package, &path);
            let library = path == loader(self.architecture) || is_library(self.architecture, &path);
            if !program && !library {
                continue;
            }
            let mut header = entry.header().clone();
            match header.entry_type() {
                EntryType::Symlink if library => {
                    let target = entry.link_name()?.context("a link has no target")?.into_owned();
                    self.folders_of(&path)?;
                    self.archive.append_link(&mut header, &path, target)?;
                }
                EntryType::Regular => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content)?;
                    // Scripts are the same for all architectures.
                    if library || content.starts_with(b"\x7fELF") {
                        self.folders_of(&path)?;
                        self.archive.append_data(&mut header, &path, content.as_slice())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the link through which programs find their loader, and ends the stream.
    pub fn finish(mut self) -> Result<W> {
        if self.architecture == Architecture::Amd64 {
            let mut header = self.header(EntryType::Symlink, 0o777);
            self.archive.append_link(&mut header, "lib64", "usr/lib64")?;
        }
        Ok(self.archive.into_inner()?)
    }

    /// Header of an entry without content, which belongs to root.
    fn header(&self, kind: EntryType, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(self.epoch);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Writes entries of the folders of `path` that have none.
    fn folders_of(&mut self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..=end).unwrap_or_default();
            if !self.folders.insert(folder.to_owned()) {
                continue;
            }
            let mut header = self.header(EntryType::Directory, 0o755);
            self.archive.append_data(&mut header, folder, io::empty())?;
        }
        Ok(())
    }
}

/// Puts the native programs in the tar file `programs` on the image in `base`, in a layout in the
/// new folder `to`.
pub fn add(base: &Layout, programs: &Path, to: &Path) -> Result<NativeBase> {
    let open =
        || File::open(programs).with_context(|| format!("cannot read {}", programs.display()));
    let mut files = Vec::new();
    for entry in tar::Archive::new(open()?).entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_dir() {
            files.push(flatten::plain(&entry)?);
        }
    }
    let layout = Layout::create(to)?;
    let (manifest, mut config) = (normalise::manifest(base)?, normalise::config(base)?);
    let mut layers = manifest.layers().clone();
    for layer in &layers {
        layout.write_blob(layer.media_type().as_ref(), base.open_blob(layer)?)?;
    }
    let layer = layout.write_blob(media_type::IMAGE_LAYER, open()?)?;
    let diff_id = layer.digest().to_string();
    layers.push(layer);
    config.rootfs_mut().diff_ids_mut().push(diff_id.clone());
    let history = HistoryBuilder::default().created_by(CREATED_BY).build()?;
    config.history_mut().get_or_insert_default().push(history);
    let config = layout.write_json(media_type::IMAGE_CONFIG, &config)?;
    let manifest = artifact::image(config, layers)?;
    let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest)?;
    layout.write_index(vec![manifest])?;
    Ok(NativeBase { layout, diff_id, files })
}

#[cfg(test)]
mod tests;
