// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What goes into a package beside the executable: the files that `release.toml` names, manual pages
//! and completions as the program itself writes them, and the notices of others' work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use walkdir::WalkDir;

use super::super::build::{Output, stem, tree};
use crate::ops::archive::{Member, Mode};
use crate::ops::cargo::graph::{self, Crate, Edges};
use crate::ops::cargo::toolchain::Libc;
use crate::ops::command::Command;
use crate::ops::notices::{self, Notice};
use crate::ops::atomic;
use crate::run::Run;
use crate::steps::StepLog;
use crate::workspace::SystemPackage;

/// Where what is generated lies, relative to the root: `ARCHITECTURE/NAME/`.
const FOLDER: &str = "target/xtask/package";
/// The name of the notices in every package.
const NOTICES: &str = "THIRD-PARTY-NOTICES";

/// A file of a package of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Where it goes, absolute.
    pub(crate) path: String,
    /// The file with its bytes.
    pub(crate) source: PathBuf,
    /// Whether it is a program.
    pub(crate) executable: bool,
    /// Whether people change it.
    pub(crate) config: bool,
}

/// Where completions go, by shell: on Debian and elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// Debian and its descendants.
    Debian,
    /// Those that use RPM.
    Rpm,
}

fn folder(output: &Output<'_>) -> PathBuf {
    Path::new(FOLDER).join(output.target.architecture.oci()).join(&output.binary.name)
}

/// The command with which the program writes its manual pages and completions.
pub(super) fn documents(run: &Run, output: &Output<'_>) -> Option<Command> {
    let folder = run.workspace.root().join(folder(output)).join("documents");
    output
        .binary
        .documents_itself
        .then(|| output.command_of(run, &["packaging"]).arg(folder))
}

/// Makes what is generated for `output`.
///
/// # Errors
/// When the program does not run, or the crates can't be listed.
pub(super) fn generate(run: &Run, log: &StepLog, output: &Output<'_>) -> Result<()> {
    let folder = run.workspace.root().join(folder(output));
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if let Some(command) = documents(run, output) {
        run.exec(log, &command)?;
    }
    let notices = third_parties(run, log, output)?;
    atomic::write(&folder.join(NOTICES), notices.as_bytes())
}

/// The notices for one executable: of the crates in it, with the licences that the gate `licenses`
/// holds against the list.
fn third_parties(run: &Run, log: &StepLog, output: &Output<'_>) -> Result<String> {
    let printed = run.capture(log, &tree(run, output, Edges::Linked))?;
    let printed = String::from_utf8(printed).context("`cargo tree` printed no UTF-8")?;
    let linked = graph::parse(&printed)?;
    let metadata = run.command("cargo").args(["metadata", "--locked", "--format-version", "1"]);
    let metadata = run.attempt_machine(log, &metadata)?.success()?;
    let metadata = String::from_utf8(metadata).context("cargo metadata did not write UTF-8")?;
    let metadata: Metadata =
        MetadataCommand::parse(metadata).context("cargo metadata wrote something else")?;
    let clarify = &run.workspace.product().gates.licenses.clarify;
    let mut notices = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let name = package.name.to_string();
        let krate = Crate { name: name.clone(), version: package.version.to_string() };
        if !linked.edges.contains_key(&krate) {
            continue;
        }
        let license = clarify.get(&name).or(package.license.as_ref());
        let folder = package.manifest_path.parent().context("a manifest lies in no folder")?;
        notices.push(Notice {
            name: krate.to_string(),
            license: license.cloned().unwrap_or_else(|| "licence not stated".to_owned()),
            repository: package.repository.clone(),
            terms: notices::terms(folder.as_std_path())?,
        });
    }
    notices.sort();
    let mut also =
        vec![format!("Rust's standard library {}, MIT OR Apache-2.0", output.toolchain.version)];
    also.push(match output.target.libc {
        Libc::Musl => "musl, MIT, https://musl.libc.org".to_owned(),
        Libc::Glibc => {
            "the GNU C library, LGPL-2.1-or-later, https://www.gnu.org/software/libc".to_owned()
        }
    });
    Ok(notices::text(&output.binary.name, &notices, &also))
}

/// The members of the archive that delivers `output`.
pub(super) fn members(run: &Run, output: &Output<'_>, executable: PathBuf) -> Result<Vec<Member>> {
    let top = stem(run, output);
    let root = run.workspace.root();
    let file = |name: &str, source: PathBuf| Member {
        path: format!("{top}/{name}"),
        mode: Mode::File,
        source,
    };
    let mut members = vec![
        Member {
            path: format!("{top}/{}", output.binary.name),
            mode: Mode::Executable,
            source: executable,
        },
        file(NOTICES, root.join(folder(output)).join(NOTICES)),
    ];
    members.extend(output.binary.files.iter().map(|(name, source)| file(name, root.join(source))));
    for (name, source) in generated(run, output)? {
        members.push(file(&name, source));
    }
    Ok(members)
}

/// The files of the package that a distribution installs.
pub(crate) fn installed(
    run: &Run,
    output: &Output<'_>,
    system: &SystemPackage,
    distribution: Distribution,
) -> Result<Vec<Installed>> {
    let root = run.workspace.root();
    let file = |path: String, source: PathBuf| Installed {
        path,
        source,
        executable: false,
        config: false,
    };
    let program = &output.binary.name;
    let mut files = vec![Installed {
        executable: true,
        ..file(format!("/usr/bin/{program}"), output.verified(run)?)
    }];
    for (path, source) in &system.files {
        files.push(file(path.clone(), root.join(source)));
    }
    for (path, source) in &system.config {
        files.push(Installed { config: true, ..file(path.clone(), root.join(source)) });
    }
    let documentation = format!("/usr/share/doc/{}", system.name);
    // Debian Policy, 12.5.
    let license = match distribution {
        Distribution::Debian => "copyright",
        Distribution::Rpm => "LICENSE",
    };
    files.push(file(format!("{documentation}/{license}"), root.join("LICENSE")));
    let notices = root.join(folder(output)).join(NOTICES);
    files.push(file(format!("{documentation}/{NOTICES}"), notices));
    for (name, source) in generated(run, output)? {
        if let Some(path) = system_path(&name, distribution) {
            files.push(file(path, source));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Where a manual page or a completion belongs on a system.
fn system_path(name: &str, distribution: Distribution) -> Option<String> {
    let (folder, file) = name.rsplit_once('/')?;
    match (folder, file.rsplit_once('.')) {
        ("man", Some((_, section))) => Some(format!("/usr/share/man/man{section}/{file}")),
        ("completions", Some((program, "bash"))) => {
            Some(format!("/usr/share/bash-completion/completions/{program}"))
        }
        ("completions", Some((_, "fish"))) => {
            Some(format!("/usr/share/fish/vendor_completions.d/{file}"))
        }
        ("completions", None) => Some(match distribution {
            Distribution::Debian => format!("/usr/share/zsh/vendor-completions/{file}"),
            Distribution::Rpm => format!("/usr/share/zsh/site-functions/{file}"),
        }),
        _ => None,
    }
}

/// What the program wrote about itself: path below the folder, and the file.
fn generated(run: &Run, output: &Output<'_>) -> Result<BTreeMap<String, PathBuf>> {
    let folder = run.workspace.root().join(folder(output)).join("documents");
    let mut found = BTreeMap::new();
    if !output.binary.documents_itself {
        return Ok(found);
    }
    for entry in WalkDir::new(&folder) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_type().is_file()
            && let Ok(path) = entry.path().strip_prefix(&folder)
        {
            found.insert(path.to_string_lossy().into_owned(), entry.path().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manuals_and_completions_go_where_a_system_looks_for_them() {
        use Distribution::{Debian, Rpm};
        for (name, distribution, expected) in [
            ("man/app-serve.8", Debian, Some("/usr/share/man/man8/app-serve.8")),
            ("completions/app.bash", Rpm, Some("/usr/share/bash-completion/completions/app")),
            ("completions/app.fish", Rpm, Some("/usr/share/fish/vendor_completions.d/app.fish")),
            ("completions/_app", Debian, Some("/usr/share/zsh/vendor-completions/_app")),
            ("completions/_app", Rpm, Some("/usr/share/zsh/site-functions/_app")),
            ("completions/app.elv", Debian, None),
            ("README", Debian, None),
        ] {
            assert_eq!(system_path(name, distribution).as_deref(), expected, "{name}");
        }
    }
}
