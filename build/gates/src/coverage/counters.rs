// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Counters in our programs (The rustc Book, "Instrumentation-based Code Coverage"), and the files
//! that they leave.
//!
//! Only crates of the workspace are built with counters: cargo hands them, and no dependency, to the
//! program in `RUSTC_WORKSPACE_WRAPPER`, and keeps what it built so apart from what it builds
//! without. Nothing else is compiled again.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::Run;
use foundation::command::Command;
use foundation::{atomic, tree};

/// The wrapper: the compiler with one more option.
const WRAPPER: &str = "#!/bin/sh\nexec \"$@\" -C instrument-coverage\n";

/// The variable that names the file for counts.
const COUNTS: &str = "LLVM_PROFILE_FILE";

/// The programs that read the counts.
pub(crate) const READERS: &[&str] = &["llvm-cov", "llvm-profdata"];

/// Whether anything asks how many lines tests reach, and can be answered here.
pub(crate) fn wanted(run: &Run) -> bool {
    run.workspace.product().gates.coverage.is_set()
        && READERS.iter().all(|name| run.tools.check(name).is_ok())
}

/// `command` of cargo, so that what it builds counts, and what it runs leaves its counts.
///
/// # Errors
/// When the wrapper can't be written.
pub(crate) fn with(run: &Run, command: Command) -> Result<Command> {
    let wrapper = folder(run).join("rustc");
    if fs::read(&wrapper).ok().as_deref() != Some(WRAPPER.as_bytes()) {
        atomic::write_with(&wrapper, 0o755, |file| Ok(file.write_all(WRAPPER.as_bytes())?))?;
    }
    Ok(set(run, command))
}

/// The same without writing the wrapper, for a plan.
pub(crate) fn set(run: &Run, command: Command) -> Command {
    command
        .env("RUSTC_WORKSPACE_WRAPPER", folder(run).join("rustc"))
        // The programs that people and other steps find below `target/debug` carry no counters: they would
        // write `default_*.profraw` wherever they are run. What is compiled on the way is shared.
        .env("CARGO_TARGET_DIR", run.workspace.target().join("coverage"))
        .env("CARGO_BUILD_BUILD_DIR", run.workspace.target())
        // The processes of one program share a few files, which each adds its counts to; one file
        // for each process would be gigabytes.
        .env(COUNTS, counts(run).join("%8m.profraw"))
}

/// [`with`] where coverage is wanted, so that what that compiled is used; the counts go nowhere.
///
/// # Errors
/// As [`with`].
pub(crate) fn without_counts(run: &Run, command: Command) -> Result<Command> {
    if !wanted(run) {
        return Ok(command);
    }
    Ok(with(run, command)?.env(COUNTS, "/dev/null"))
}

/// The same without writing the wrapper, for a plan.
pub(crate) fn set_without_counts(run: &Run, command: Command) -> Command {
    if wanted(run) { set(run, command).env(COUNTS, "/dev/null") } else { command }
}

/// Removes all counts before the tests run.
///
/// # Errors
/// When a file can't be removed.
pub(crate) fn clear(run: &Run) -> Result<()> {
    [counts(run), stamp(run)].iter().try_for_each(|old| tree::remove(old))
}

/// Writes down that the counts are of all tests, on the source as it is.
///
/// # Errors
/// When the source can't be read.
pub(crate) fn complete(run: &Run) -> Result<()> {
    atomic::write(&stamp(run), identity(run)?.as_bytes())
}

/// Whether the counts are of the source as it is now.
pub(super) fn are_of_this_source(run: &Run) -> bool {
    fs::read_to_string(stamp(run)).is_ok_and(|it| Some(it) == identity(run).ok())
}

/// Writes down the names of the files with counts.
///
/// # Errors
/// When there is none, or the folder can't be read.
pub(super) fn list(run: &Run) -> Result<()> {
    let folder = counts(run);
    let context = || format!("cannot read {}: the tests left no counts", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(context)? {
        names.push(entry.with_context(context)?.path().into_os_string());
    }
    names.sort();
    let names = names.iter().map(|name| name.to_str().context("a path is not UTF-8"));
    let names = names.collect::<Result<Vec<_>>>()?.join("\n");
    atomic::write(&listed(run), names.as_bytes())
}

/// The file that [`list`] writes.
pub(super) fn listed(run: &Run) -> PathBuf {
    folder(run).join("counts.txt")
}

/// The file for the counts of all programs together.
pub(super) fn joined(run: &Run) -> PathBuf {
    folder(run).join("counts.profdata")
}

fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("coverage")
}

fn counts(run: &Run) -> PathBuf {
    folder(run).join("counts")
}

fn stamp(run: &Run) -> PathBuf {
    folder(run).join("source")
}

/// The source, and the compiler.
fn identity(run: &Run) -> Result<String> {
    Ok(format!("{} {}", run.workspace.content()?, run.tools.identity("cargo")))
}
