// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Programs from Debian packages of another suite than the host's, without changing the system:
//! downloaded from the host's mirror, verified, and unpacked below `target/tools`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use debian::apt::{self, Apt};
use engine::tool::{PINS, Pin, PinnedFile, STABLE, pin, pins_text};
use engine::{Run, StepLog, Ui};
use foundation::command::Command;
use foundation::{atomic, checksum, emulation, file, tree};
use release::Architecture;

use super::apt::{host, run_checked};
use super::unpacked::{self, Package};

/// Root (the folder with `pool/`) of an archive that keeps old versions, for pinned files that the
/// mirror has dropped.
const ARCHIVE: &str = "XTASK_DEBIAN_ARCHIVE";

/// apt's download helper: verifies checksums and uses apt's proxy and certificates.
const HELPER: &str = "/usr/lib/apt/apt-helper";

impl Package {
    /// The commands that download it from [`STABLE`].
    pub(super) fn stable_commands(self, run: &Run) -> Vec<Command> {
        let folder = folder(run, &format!("{STABLE}-{}", emulation::host().oci()));
        let apt = Apt::open(folder.clone(), emulation::host());
        vec![apt.update(), apt.fetch(self.name, &folder), self.unpack_any(run, &folder)]
    }

    /// The commands that download its pinned file.
    pub(super) fn pinned_commands(self, run: &Run) -> Vec<Command> {
        let Some(pin) = pin(self.name) else { return Vec::new() };
        let to = self.pinned_path(run);
        let from = format!("${{{ARCHIVE}:-MIRROR}}");
        let unpack = self.unpack(run, &to);
        vec![download(run, &from, pin.file(emulation::host()), &to), unpack]
    }

    /// Installs its program to `target/tools/bin` from [`STABLE`]'s package, which apt verifies by
    /// the signed index. `apt` is the result of [`prepare_stable`].
    ///
    /// # Errors
    /// When the suite lacks the package, or the package lacks the program.
    pub(super) fn install_stable(self, run: &Run, log: &StepLog, apt: &Apt) -> Result<()> {
        let here = folder(run, "downloads").join(self.name);
        tree::remove(&here)?;
        file::create_folder(&here)?;
        run.exec(log, &apt.fetch(self.name, &here))?;
        let files = file::list(&here)?;
        let [file] = files.as_slice() else {
            bail!("apt-get left {} files of {} in {}", files.len(), self.name, here.display())
        };
        self.place(run, log, file)
    }

    /// Installs its program to `target/tools/bin`, from the pinned file only.
    ///
    /// # Errors
    /// When no archive has the file, or its checksum differs from the pin.
    pub(super) fn install_pinned(self, run: &Run, log: &StepLog) -> Result<()> {
        let pin = pin(self.name)
            .with_context(|| format!("{PINS} has no [{}]: add it there", self.name))?;
        let (printed, suite) = host(run, log)?;
        let mut archives = vec![apt::archive(&printed, &suite)?];
        if let Ok(archive) = std::env::var(ARCHIVE) {
            archives.push(archive.trim_end_matches('/').to_owned());
        }
        let wanted = pin.file(emulation::host());
        let to = self.pinned_path(run);
        let mut tried = Vec::new();
        for archive in archives {
            tree::remove(&to)?;
            if let Some(parent) = to.parent() {
                file::create_folder(parent)?;
            }
            let finished = run.attempt(log, &download(run, &archive, wanted, &to))?;
            if finished.code() != Some(0) {
                tried.push((archive, reason(finished.stderr())));
                continue;
            }
            let (sha256, _) = checksum::sha256(&to)?;
            ensure!(
                sha256 == wanted.sha256,
                "{} has the SHA-256 {sha256}, but {PINS} has {}: not installed",
                to.display(),
                wanted.sha256
            );
            return self.place(run, log, &to);
        }
        bail!(explain_unmet(self.name, pin, &tried))
    }

    fn pinned_path(self, run: &Run) -> PathBuf {
        folder(run, "pinned").join(format!("{}.deb", self.name))
    }

    fn unpacked_program(self, run: &Run) -> PathBuf {
        folder(run, "content").join(self.program)
    }

    fn unpack(self, run: &Run, file: &Path) -> Command {
        unpacked::extract(run, file, &self.unpacked_program(run))
    }

    /// Like [`Package::unpack`], for output: the version in the file's name is not known yet.
    fn unpack_any(self, run: &Run, folder: &Path) -> Command {
        self.unpack(run, &folder.join(format!("{}_VERSION.deb", self.name)))
    }

    /// Unpacks the package in `file` and installs the program.
    fn place(self, run: &Run, log: &StepLog, file: &Path) -> Result<()> {
        let unpacked = self.unpacked_program(run);
        tree::remove(&unpacked)?;
        file::create_folder(&unpacked)?;
        run.exec(log, &self.unpack(run, file))?;
        let program = std::fs::read(unpacked.join(self.file))
            .with_context(|| format!("the package {} does not contain {}", self.name, self.file))?;
        let place = run.workspace.target().join("tools/bin").join(self.program);
        atomic::write_executable(&place, &program)?;
        tree::remove(&unpacked)?;
        tree::remove(file)
    }
}

fn folder(run: &Run, name: &str) -> PathBuf {
    run.workspace.target().join("tools/apt").join(name)
}

/// An apt instance for [`STABLE`], with its index.
///
/// # Errors
/// When the mirror lacks the suite, or its index cannot be verified.
pub(super) fn prepare_stable(run: &Run, log: &StepLog) -> Result<Apt> {
    fetch_index(run, log, STABLE, emulation::host())
}

fn fetch_index(run: &Run, log: &StepLog, suite: &str, architecture: Architecture) -> Result<Apt> {
    let (printed, host) = host(run, log)?;
    let sources = apt::suite_sources(&printed, &host, suite)?;
    let folder = folder(run, &format!("{suite}-{}", architecture.oci()));
    let apt = Apt::new(folder, architecture, &sources)?;
    run_checked(run, log, &apt.update())?;
    Ok(apt)
}

/// The command that downloads `file` from `archive` and verifies its SHA-256.
fn download(run: &Run, archive: &str, file: &PinnedFile, to: &Path) -> Command {
    run.command(HELPER)
        .args(["-o", "APT::Sandbox::User=root", "download-file"])
        .arg(format!("{archive}/{}", file.path))
        .arg(to)
        .arg(format!("SHA256:{}", file.sha256))
        .env("LC_ALL", "C")
}

/// The reason of apt-helper's failure, from its output.
fn reason(printed: &str) -> String {
    let mismatch = printed.contains("Hash Sum mismatch");
    let error = printed.lines().find_map(|line| line.strip_prefix("E: "));
    match (mismatch, error) {
        (true, _) => "has another file (the SHA-256 differs)".to_owned(),
        (false, Some(error)) => error.trim().to_owned(),
        (false, None) => "download failed".to_owned(),
    }
}

/// The error for a pin that no archive satisfies.
fn explain_unmet(package: &str, pin: &Pin, tried: &[(String, String)]) -> String {
    let tried: Vec<_> =
        tried.iter().map(|(archive, reason)| format!("\n      {archive}: {reason}")).collect();
    format!(
        "no archive has {package} {} as pinned in {PINS}{}\n    fix: update the pin with `cargo xtask setup \
         --update-pins` and commit {PINS}, or set {ARCHIVE} to the root of an archive that keeps old versions",
        pin.version,
        tried.concat()
    )
}

/// Updates every pin to its suite's current version.
///
/// # Errors
/// When a suite cannot be read, or its versions differ between architectures.
pub(crate) fn update_pins(
    run: &Run,
    log: &StepLog,
    packages: &[&'static str],
    ui: &Ui,
) -> Result<()> {
    let mut pins = BTreeMap::new();
    for package in packages {
        let old = pin(package)
            .with_context(|| format!("{PINS} has no [{package}]: add it with its suite"))?;
        let find = |architecture| find_newest(run, log, &old.suite, package, architecture);
        let (amd64, arm64) = (find(Architecture::Amd64)?, find(Architecture::Arm64)?);
        ensure!(
            amd64.0 == arm64.0,
            "{} has {package} {} for amd64 and {} for arm64: rerun when both are built",
            old.suite,
            amd64.0,
            arm64.0
        );
        if amd64.0 == old.version {
            ui.status("Unchanged", &format!("{package} {}", old.version));
        } else {
            ui.status("Updated", &format!("{package} from {} to {}", old.version, amd64.0));
        }
        let suite = old.suite.clone();
        pins.insert(*package, Pin { suite, version: amd64.0, amd64: amd64.1, arm64: arm64.1 });
    }
    atomic::write(&run.workspace.root().join(PINS), pins_text(&pins).as_bytes())
}

/// Version and file of `package` in `suite` for `architecture`.
fn find_newest(
    run: &Run,
    log: &StepLog,
    suite: &str,
    package: &str,
    architecture: Architecture,
) -> Result<(String, PinnedFile)> {
    let apt = fetch_index(run, log, suite, architecture)?;
    let shown = run.capture(log, &apt.show(package))?;
    read_stanza(&String::from_utf8_lossy(&shown))
        .with_context(|| format!("{suite} has no {package} for {}", architecture.oci()))
}

/// Version, path and SHA-256 of the first stanza of `apt-cache show`, which is the newest.
fn read_stanza(shown: &str) -> Option<(String, PinnedFile)> {
    let stanza = shown.split("\n\n").next()?;
    let field = |name: &str| {
        let mut lines = stanza.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    let sha256 = field("SHA256").filter(|it| checksum::is_sha256(it))?;
    Some((field("Version")?, PinnedFile { path: field("Filename")?, sha256 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unmet_pin_names_what_was_tried_and_how_to_move_it() {
        let pin = pin("cosign").unwrap();
        let gone = "Err:1 http://m.example/x.deb\n  404  Not Found\n\
                    E: Failed to fetch http://m.example/x.deb  404  Not Found\nE: Download Failed\n";
        let other = "Err:1 x\n  Hash Sum mismatch\nE: Failed to fetch x  Hash Sum mismatch\n";
        let tried = [
            ("http://m.example/debian".to_owned(), reason(gone)),
            ("http://old.example/debian".to_owned(), reason(other)),
        ];
        let text = explain_unmet("cosign", pin, &tried);
        for part in [
            pin.version.as_str(),
            "m.example/debian: Failed to fetch",
            "404",
            "old.example/debian: has another file",
            "setup --update-pins",
            ARCHIVE,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(reason(""), "download failed");
    }

    #[test]
    fn the_newest_version_of_an_index_becomes_a_pin() {
        let sum = "ab".repeat(32);
        let shown = format!(
            "Package: cosign\nVersion: 3.2.0-1\nFilename: pool/main/c/cosign/cosign_3.2.0-1_arm64.deb\n\
             SHA256: {sum}\n\nPackage: cosign\nVersion: 3.1.1-2\n"
        );
        let (version, file) = read_stanza(&shown).unwrap();
        assert_eq!(version, "3.2.0-1");
        assert_eq!(file.path, "pool/main/c/cosign/cosign_3.2.0-1_arm64.deb");
        assert_eq!(file.sha256, sum);
        assert_eq!(read_stanza("Version: 1\nFilename: x\nMD5sum: 00\n"), None);
    }
}
