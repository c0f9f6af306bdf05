// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages from the host's suite, unpacked below `target/tools/unpacked` because installing
//! them would change the system.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use engine::{Run, StepLog};
use foundation::command::{Command, quote};
use foundation::tree::remove;
use foundation::{atomic, file};

/// Folder of Debian's Python packages.
const PYTHON: &str = "usr/lib/python3/dist-packages";

/// A package and the required file in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    /// Name below `target/tools/bin`.
    pub(super) program: &'static str,
    /// Name of the package.
    pub(super) name: &'static str,
    /// Path of the file, or for a package of the host's suite its start where a version follows.
    pub(super) file: &'static str,
}

impl Package {
    /// The commands of an installation.
    pub(super) fn commands(self, run: &Run) -> Vec<Command> {
        let file = downloads(run).join(format!("{}.deb", self.name));
        vec![download(run, self.name), extract(run, &file, &self.folder(run))]
    }

    /// Unpacks the package, or the one that it depends on if it is a metapackage, and links the
    /// file.
    pub(super) fn install(self, run: &Run, log: &StepLog) -> Result<()> {
        let folder = self.folder(run);
        remove(&folder)?;
        let mut name = self.name.to_owned();
        // A metapackage, such as that of the newest kernel, only names another package.
        for _ in 0..2 {
            let package = fetch(run, log, &name)?;
            file::create_folder(&folder)?;
            run.exec(log, &extract(run, &package, &folder))?;
            if let Some(file) = find(&folder, self.file)? {
                return self.link(run, &folder, &file);
            }
            let field = run.command("dpkg-deb").arg("--field").arg(&package).arg("Depends");
            let depends = String::from_utf8_lossy(&run.capture(log, &field)?).into_owned();
            name = first_name(&depends)
                .with_context(|| format!("the package {name} does not contain {}", self.file))?;
        }
        bail!("neither {} nor its dependency contains {}", self.name, self.file)
    }

    /// Creates the program in `target/tools/bin`; for a Python program, a wrapper that sets the
    /// module path.
    fn link(self, run: &Run, folder: &Path, file: &Path) -> Result<()> {
        let program = run.workspace.target().join("tools/bin").join(self.program);
        remove(&program)?;
        let modules = folder.join(PYTHON);
        if modules.is_dir() {
            let [modules, file] = [&modules, file].map(|path| quote(path.as_os_str()));
            let wrapper = format!("#!/bin/sh\nPYTHONPATH={modules} exec {file} \"$@\"\n");
            return atomic::write_executable(&program, wrapper.as_bytes());
        }
        if let Some(bin) = program.parent() {
            file::create_folder(bin)?;
        }
        symlink(file, &program).with_context(|| format!("cannot create {}", program.display()))
    }

    fn folder(self, run: &Run) -> PathBuf {
        run.workspace.target().join("tools/unpacked").join(self.name)
    }
}

fn downloads(run: &Run) -> PathBuf {
    run.workspace.target().join("tools/apt/unpacked")
}

/// Runs unsandboxed: the user `_apt` cannot write to our folder.
fn download(run: &Run, package: &str) -> Command {
    Command::new("apt-get", downloads(run))
        .args(["-o", "APT::Sandbox::User=root"])
        .args(["--quiet", "download", package])
}

/// The command that unpacks the package file `package` to `folder`.
pub(super) fn extract(run: &Run, package: &Path, folder: &Path) -> Command {
    run.command("dpkg-deb").arg("--extract").arg(package).arg(folder)
}

/// Downloads a package to an empty folder and returns its path.
fn fetch(run: &Run, log: &StepLog, name: &str) -> Result<PathBuf> {
    let folder = downloads(run);
    remove(&folder)?;
    file::create_folder(&folder)?;
    run.exec(log, &download(run, name))?;
    find(&folder, &format!("{name}_"))?
        .with_context(|| format!("apt-get left no package {name} in {}", folder.display()))
}

/// The file at `path` below `folder`, or the first by name whose path starts with it.
fn find(folder: &Path, path: &str) -> Result<Option<PathBuf>> {
    let (parent, start) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = folder.join(parent);
    if !parent.is_dir() {
        return Ok(None);
    }
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && name.starts_with(start)
    };
    Ok(file::list(&parent)?.into_iter().find(matches))
}

/// The first package of a field such as `a (= 1), b | c` (Debian policy 7.1).
fn first_name(depends: &str) -> Option<String> {
    let name = depends.split([',', '|', '(', ':']).next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn finds_the_file_whose_version_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path(), "boot/vmlinuz-").unwrap(), None);
        fs::create_dir(folder.path().join("boot")).unwrap();
        for name in ["System.map-6.1", "vmlinuz-6.2", "vmlinuz-6.1"] {
            fs::write(folder.path().join("boot").join(name), "").unwrap();
        }
        let found = find(folder.path(), "boot/vmlinuz-").unwrap();
        assert_eq!(found, Some(folder.path().join("boot/vmlinuz-6.1")));
    }

    #[test]
    fn reads_the_dependency_of_a_metapackage() {
        let depends = "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), other";
        assert_eq!(first_name(depends).unwrap(), "linux-image-6.1.0-56-cloud-amd64");
        assert_eq!(first_name("a:any | b").unwrap(), "a");
        assert_eq!(first_name("\n"), None);
    }
}
