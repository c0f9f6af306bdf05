// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Source of Rust's standard library, for targets that need a build of it.
//!
//! `rustup component add rust-src` installs it in the toolchain's folder. Otherwise Debian's
//! package `rust-src` of the compiler's exact version is unpacked below `target/tools`; nothing is
//! written to the toolchain's folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use debian::apt::{self, Apt};
use debian::lock::{BASE, Locked};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{checksum, file, tree};
use release::{Architecture, Material};
use rust::toolchain::Toolchain;
use sbom::purl::purl;

use super::material;

/// Debian package.
const PACKAGE: &str = "rust-src";
/// The suite, and its backports, which keep the compilers of this year and the last.
const SUITE: &str = "trixie";
const POCKET: &str = "trixie-backports";
/// File beside the unpacked source with the package's version and SHA-256.
const ORIGIN: &str = "origin";

/// The folder `library` of the compiler's source; it may not exist yet.
pub(super) fn folder(run: &Run, toolchain: &Toolchain) -> PathBuf {
    let installed = toolchain.library_source().join("library");
    if installed.is_dir() {
        return installed;
    }
    tool_folder(run, toolchain).join("library")
}

fn tool_folder(run: &Run, toolchain: &Toolchain) -> PathBuf {
    run.workspace.target().join("tools").join(PACKAGE).join(&toolchain.version)
}

/// Unpacks the source, unless it exists.
///
/// # Errors
/// When no mirror has a package of the compiler's version.
pub(super) fn ensure_source(run: &Run, log: &StepLog, toolchain: &Toolchain) -> Result<()> {
    if folder(run, toolchain).is_dir() {
        return Ok(());
    }
    fetch(run, log, toolchain).with_context(|| {
        format!(
            "there is no source of Rust's standard library {}: `rustup component add rust-src` \
             installs it, and `rustup target add` a standard library that needs no source",
            toolchain.version
        )
    })
}

fn fetch(run: &Run, log: &StepLog, toolchain: &Toolchain) -> Result<()> {
    let printed = run.capture(log, &apt::sources_command())?;
    let host = apt::host_suite()?;
    let sources = apt::sources_list(&String::from_utf8_lossy(&printed), &host, SUITE)?;
    let sources = backports(&sources);
    let scratch = run.workspace.scratch().join("apt").join(POCKET);
    // The package is architecture-independent.
    let apt = Apt::new(scratch.clone(), Architecture::Amd64, &sources)?;
    run.exec(log, &apt.update()).context("cannot reach the package mirror")?;
    let known = run.attempt_machine(log, &apt.show(PACKAGE))?.success()?;
    let known = String::from_utf8_lossy(&known);
    let Some((version, sha256)) = choose(&known, &toolchain.version) else {
        bail!("the mirror's {POCKET} has no {PACKAGE} {}", toolchain.version);
    };
    let locked = Locked {
        image: Architecture::Amd64,
        set: BASE.to_owned(),
        name: PACKAGE.to_owned(),
        version: version.clone(),
        architecture: "all".to_owned(),
        sha256: sha256.clone(),
    };
    let download = scratch.join("download");
    empty(&download)?;
    run.exec(log, &apt.download(&[&locked], &download))?;
    let file = fs::read_dir(&download)?.next().context("apt-get downloaded nothing")??.path();
    let (found, _) = checksum::sha256(&file)?;
    if found != sha256 {
        bail!(
            "{} has the SHA-256 {found}, expected {sha256} from the signed index",
            file.display()
        );
    }
    let unpacked = scratch.join("unpacked");
    empty(&unpacked)?;
    run.exec(log, &unpack(run, &file, &unpacked))?;
    let source = unpacked.join(format!("usr/src/rustc-{}", toolchain.version));
    fs::write(source.join(ORIGIN), format!("{version} {sha256}\n"))
        .with_context(|| format!("{PACKAGE} {version} does not contain {}", source.display()))?;
    let place = tool_folder(run, toolchain);
    empty(&place)?;
    fs::rename(&source, &place).with_context(|| format!("cannot write {}", place.display()))?;
    empty(&download)?;
    empty(&unpacked)
}

fn unpack(run: &Run, package: &Path, to: &Path) -> Command {
    run.command("dpkg-deb").arg("--extract").arg(package).arg(to)
}

fn empty(folder: &Path) -> Result<()> {
    tree::remove(folder)?;
    file::create_folder(folder)
}

/// Source lines for backports, derived from the suite's lines in `sources`.
fn backports(sources: &str) -> String {
    let suite = format!(" {SUITE} main");
    sources
        .lines()
        .filter_map(|line| Some(format!("{} {POCKET} main\n", line.strip_suffix(&suite)?)))
        .collect()
}

/// Version and SHA-256 of the package for the compiler `version`, from the output of `apt-cache
/// show`.
fn choose(shown: &str, version: &str) -> Option<(String, String)> {
    let stanzas = shown.split("\n\n").map(|stanza| {
        let fields = stanza.lines().filter_map(|line| line.split_once(": "));
        fields.collect::<BTreeMap<_, _>>()
    });
    stanzas
        .filter_map(|fields| Some((*fields.get("Version")?, *fields.get("SHA256")?)))
        .find(|(found, sha256)| {
            found.split(['+', '-']).next() == Some(version) && checksum::is_sha256(sha256)
        })
        .map(|(found, sha256)| (found.to_owned(), sha256.to_owned()))
}

/// The source as a build input.
pub(super) fn input(run: &Run, toolchain: &Toolchain) -> Result<Material> {
    let origin = tool_folder(run, toolchain).join(ORIGIN);
    if folder(run, toolchain) != tool_folder(run, toolchain).join("library") {
        let uri = format!("pkg:generic/{PACKAGE}@{}", toolchain.version);
        return Ok(material(uri, "gitCommit", &toolchain.commit));
    }
    let text = file::read_text(&origin)?;
    let (version, sha256) = text
        .trim_end()
        .split_once(' ')
        .with_context(|| format!("{} does not contain version and SHA-256", origin.display()))?;
    let uri = purl("deb", Some("debian"), PACKAGE, version, &[("arch", "all")]);
    Ok(material(uri, "sha256", sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_exactly_the_compilers_version_is_taken() {
        let sum = |digit: &str| digit.repeat(64);
        let shown = format!(
            "Package: rust-src\nVersion: 1.96.1+dfsg1-2~bpo13+1\nSHA256: {}\n\n\
             Package: rust-src\nVersion: 1.95.0+dfsg1-2~bpo13+1\nDescription: x\nSHA256: {}\n\n",
            sum("a"),
            sum("b")
        );
        let chosen = choose(&shown, "1.95.0");
        assert_eq!(chosen, Some(("1.95.0+dfsg1-2~bpo13+1".to_owned(), sum("b"))));
        assert_eq!(choose(&shown, "1.95"), None);
        assert_eq!(choose("Version: 1.95.0-1\nSHA256: 00\n", "1.95.0"), None);
    }

    #[test]
    fn only_the_suite_itself_has_backports() {
        let sources = "deb http://m.example/debian trixie main\n\
                       deb http://m.example/debian trixie-updates main\n";
        assert_eq!(backports(sources), "deb http://m.example/debian trixie-backports main\n");
    }
}
