// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Generated files in a package: manual pages and completions, written by the program itself, and
//! third-party notices.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::Metadata;
use engine::workspace::{Binary, Deliver};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{atomic, file, tree};
use rust::graph::{Crate, Edges};
use rust::toolchain::Libc;
use walkdir::WalkDir;

use crate::build::Output;
use crate::package::notices::{self, Notice};

/// Folder of generated files, relative to the root: `ARCHITECTURE/NAME/`.
const FOLDER: &str = "target/xtask/package";
/// File name of the notices in every package.
pub(super) const NOTICES: &str = "THIRD-PARTY-NOTICES";

/// Whether a release format of the binary contains more than the executable.
pub(super) fn has_files(binary: &Binary) -> bool {
    binary.deliver.iter().any(|form| *form != Deliver::Raw)
}

fn folder(run: &Run, output: &Output<'_>) -> PathBuf {
    let place = Path::new(FOLDER).join(output.target.architecture.oci());
    run.workspace.root().join(place).join(&output.binary.name)
}

/// The command with which the program writes manual pages and completions, if it does.
pub(super) fn documents(run: &Run, output: &Output<'_>) -> Option<Command> {
    let command = || output.command_of(run, &["packaging"]).arg(folder(run, output));
    output.binary.documents_itself.then(command)
}

/// Generates the files for `output` and returns them: path in an archive, and source. `metadata` is
/// the workspace's.
pub(super) fn generate(
    run: &Run,
    log: &StepLog,
    output: &Output<'_>,
    metadata: &Metadata,
) -> Result<Vec<(String, PathBuf)>> {
    let folder = folder(run, output);
    tree::remove(&folder)?;
    if let Some(command) = documents(run, output) {
        file::create_folder(&folder)?;
        run.exec(log, &command)?;
    }
    let notices = third_parties(run, log, output, metadata)?;
    atomic::write(&folder.join(NOTICES), notices.as_bytes())?;
    let mut files = Vec::new();
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_type().is_file()
            && let Ok(path) = entry.path().strip_prefix(&folder)
        {
            files.push((path.to_string_lossy().into_owned(), entry.path().to_owned()));
        }
    }
    Ok(files)
}

/// Third-party notices of an executable: its crates, with the licences that the gate `licenses`
/// checks.
fn third_parties(
    run: &Run,
    log: &StepLog,
    output: &Output<'_>,
    metadata: &Metadata,
) -> Result<String> {
    let linked = output.crate_graph(run, log, Edges::Linked)?;
    let clarify = &run.workspace.product().gates.licenses.clarify;
    let mut notices = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let name = package.name.to_string();
        let krate = Crate { name: name.clone(), version: package.version.to_string() };
        if !linked.edges.contains_key(&krate) {
            continue;
        }
        let license = clarify.get(&name).or(package.license.as_ref());
        let source = package.manifest_path.parent().context("a manifest has no folder")?;
        notices.push(Notice {
            name: krate.to_string(),
            license: license.cloned().unwrap_or_else(|| "licence not stated".to_owned()),
            repository: package.repository.clone(),
            terms: notices::terms(source.as_std_path())?,
        });
    }
    notices.sort();
    let library = match output.target.libc {
        Libc::Musl => "musl, MIT, https://musl.libc.org",
        Libc::Glibc => "the GNU C library, LGPL-2.1-or-later, https://www.gnu.org/software/libc",
    };
    let standard =
        format!("Rust's standard library {}, MIT OR Apache-2.0", output.toolchain.version);
    Ok(notices::text(&output.binary.name, &notices, &[standard, library.to_owned()]))
}
