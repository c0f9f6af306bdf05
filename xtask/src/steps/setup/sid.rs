// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A package that only Debian's unstable suite has, without touching the system: apt with a state
//! of its own below `target/tools/apt`, on the mirror that the machine is set up for, and the
//! package unpacked in place of installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::ops::command::Command;
use crate::ops::{atomic, checksum, tree};
use crate::run::Run;
use crate::steps::StepLog;

/// The suite.
const SUITE: &str = "sid";

/// The key that Debian signs its archive with, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package and the program in it that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    /// The name of the program below `target/tools/bin`.
    pub(super) program: &'static str,
    /// The name of the package.
    pub(super) name: &'static str,
    /// Where the program is in it.
    pub(super) file: &'static str,
    /// The version that we know the checksum of.
    pub(super) version: &'static str,
    /// SHA-256 of the package by Debian's name of the architecture.
    pub(super) sha256: &'static [(&'static str, &'static str)],
}

impl Package {
    /// What an installation runs, the mirror aside.
    pub(super) fn commands(self, run: &Run) -> Vec<Command> {
        let apt = Apt::new(run);
        let package = apt.folder.join("downloads").join(format!("{}.deb", self.name));
        vec![
            apt.command().arg("update"),
            apt.download(&self.pinned()),
            unpack(run, &package, &apt.folder.join("unpacked")),
        ]
    }

    /// Downloads the package, checks it, and puts its program into `target/tools/bin`.
    ///
    /// # Errors
    /// When there is no mirror or no such package, or the checksum is another than ours.
    pub(super) fn install(self, run: &Run, log: &StepLog) -> Result<()> {
        let apt = Apt::new(run);
        apt.prepare(&mirror(run, log)?)?;
        run.exec(log, &apt.command().arg("update"))?;
        let pinned = run.attempt(log, &apt.download(&self.pinned()))?.code() == Some(0);
        if !pinned {
            log.note(&format!(
                "{SUITE} no longer has {} {}: taking the version that it has, whose checksum comes \
                 from the signed index",
                self.name, self.version
            ));
            run.exec(log, &apt.download(self.name))?;
        }
        let downloaded = apt.downloaded(self.name)?;
        let (sha256, _) = checksum::sha256(&downloaded)?;
        log.note(&format!("{} {sha256}", downloaded.display()));
        if pinned {
            self.check(&downloaded, &sha256)?;
        }
        let unpacked = apt.folder.join("unpacked");
        run.exec(log, &unpack(run, &downloaded, &unpacked))?;
        let program = fs::read(unpacked.join(self.file))
            .with_context(|| format!("the package {} holds no {}", self.name, self.file))?;
        let place = run.workspace.target().join("tools/bin").join(self.program);
        atomic::write_with(&place, 0o755, |file| {
            std::io::Write::write_all(file, &program)?;
            Ok(())
        })?;
        tree::remove(&unpacked)
    }

    fn pinned(self) -> String {
        format!("{}={}", self.name, self.version)
    }

    /// Compares the package with what we know of this version.
    fn check(self, path: &Path, sha256: &str) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let known = self
            .sha256
            .iter()
            .find(|(architecture, _)| name.ends_with(&format!("_{architecture}.deb")));
        match known {
            Some((_, expected)) if *expected != sha256 => bail!(
                "{name} has the SHA-256 {sha256}, expected {expected}: it is not the package that \
                 was pinned in xtask/src/tool/catalogue.rs"
            ),
            // Another architecture: the signed index has vouched for it.
            _ => Ok(()),
        }
    }
}

/// apt with its own lists, cache and sources.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(run: &Run) -> Self {
        Self { folder: run.workspace.target().join("tools/apt") }
    }

    /// Makes the folders and the list of sources, and removes what an earlier download left.
    fn prepare(&self, mirror: &str) -> Result<()> {
        tree::remove(&self.folder.join("downloads"))?;
        for folder in ["lists/partial", "cache/archives/partial", "downloads"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n");
        atomic::write(&self.folder.join("sources.list"), source.as_bytes())
    }

    fn command(&self) -> Command {
        let option =
            |name: &str, path: &str| format!("{name}={}", self.folder.join(path).display());
        Command::new("apt-get", self.folder.join("downloads"))
            .arg("-o")
            .arg(option("Dir::State::Lists", "lists"))
            .arg("-o")
            .arg(option("Dir::Cache", "cache"))
            .arg("-o")
            .arg(option("Dir::Etc::SourceList", "sources.list"))
            .args(["-o", "Dir::Etc::SourceParts=-"])
            // The user `_apt` can't write into our folder.
            .args(["-o", "APT::Sandbox::User=root"])
    }

    fn download(&self, package: &str) -> Command {
        self.command().args(["download", package])
    }

    /// The file that the download left.
    fn downloaded(&self, package: &str) -> Result<PathBuf> {
        let folder = self.folder.join("downloads");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&format!("{package}_")) && name.ends_with(".deb") {
                return Ok(path);
            }
        }
        bail!("apt-get left no package {package} in {}", folder.display())
    }
}

fn unpack(run: &Run, package: &Path, to: &Path) -> Command {
    run.command("dpkg-deb").arg("--extract").arg(package).arg(to)
}

/// The mirror of Debian's archive that apt is set up for here.
fn mirror(run: &Run, log: &StepLog) -> Result<String> {
    let format = "$(ORIGIN) $(COMPONENT) $(REPO_URI)";
    let command =
        run.command("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]);
    let targets = run.capture(log, &command)?;
    choose(&String::from_utf8_lossy(&targets)).context(
        "apt is not set up for Debian's archive here: run `apt-get update`, or install the program \
         in another way and have it in PATH",
    )
}

/// The first archive of Debian itself; the one for security updates has no other suites.
fn choose(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (origin, component, uri) = (fields.next()?, fields.next()?, fields.next()?);
        let whole = origin == "Debian" && component == "main" && !uri.contains("security");
        whole.then(|| uri.trim_end_matches('/').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_archive_that_has_all_suites() {
        let targets = "Other main http://mirror.example/other/\n\
                       Debian main http://mirror.example/debian-security/\n\
                       Debian contrib http://mirror.example/debian/\n\
                       Debian main http://mirror.example/debian/\n";
        assert_eq!(choose(targets).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(choose("Ubuntu main http://mirror.example/ubuntu/\n"), None);
        assert_eq!(choose(""), None);
    }
}
