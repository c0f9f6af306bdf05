// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Coverage instrumentation (The rustc Book, "Instrumentation-based Code Coverage") and its output
//! files.
//!
//! Only workspace crates are instrumented: cargo passes them, and no dependencies, to
//! `RUSTC_WORKSPACE_WRAPPER`, and caches the results separately. Nothing else is compiled again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::Run;
use foundation::command::Command;
use foundation::{atomic, file, tree};

/// The wrapper: rustc with one more option.
const WRAPPER: &str = "#!/bin/sh\nexec \"$@\" -C instrument-coverage\n";

/// Variable with the output file of counts.
const COUNTS: &str = "LLVM_PROFILE_FILE";

/// Programs that read the counts.
pub(crate) const READERS: &[&str] = &["llvm-cov", "llvm-profdata"];

/// Whether a coverage threshold is set.
pub(crate) fn are_needed(run: &Run) -> bool {
    run.workspace.product().gates.coverage.is_set()
        && READERS.iter().all(|name| run.tools.check(name).is_ok())
}

/// Lets a cargo `command` build with counters and write counts.
pub(crate) fn with(run: &Run, command: Command) -> Result<Command> {
    let wrapper = folder(run).join("rustc");
    if fs::read(&wrapper).ok().as_deref() != Some(WRAPPER.as_bytes()) {
        atomic::write_executable(&wrapper, WRAPPER.as_bytes())?;
    }
    Ok(set(run, command))
}

/// Like [`with`], for plans: does not write the wrapper.
pub(crate) fn set(run: &Run, command: Command) -> Command {
    command
        .env("RUSTC_WORKSPACE_WRAPPER", folder(run).join("rustc"))
        // Separate from `target/debug`: instrumented programs write `default_*.profraw` wherever
        // they run. Intermediate build results are shared.
        .env("CARGO_TARGET_DIR", run.workspace.target().join("coverage"))
        .env("CARGO_BUILD_BUILD_DIR", run.workspace.target())
        // Processes of one program share a pool of files and add their counts; one file per process
        // would need gigabytes.
        .env(COUNTS, counts(run).join("%8m.profraw"))
}

/// Like [`with`] if coverage is enabled, so that its builds are reused, but discards the counts.
pub(crate) fn without_counts(run: &Run, command: Command) -> Result<Command> {
    if !are_needed(run) {
        return Ok(command);
    }
    Ok(with(run, command)?.env(COUNTS, "/dev/null"))
}

/// Like [`without_counts`], for plans: does not write the wrapper.
pub(crate) fn set_without_counts(run: &Run, command: Command) -> Command {
    if are_needed(run) { set(run, command).env(COUNTS, "/dev/null") } else { command }
}

/// Removes all counts before the tests run.
pub(crate) fn clear(run: &Run) -> Result<()> {
    [counts(run), stamp(run)].iter().try_for_each(|old| tree::remove(old))
}

/// Marks the counts as complete for the current source.
pub(crate) fn complete(run: &Run) -> Result<()> {
    atomic::write(&stamp(run), identity(run)?.as_bytes())
}

/// Whether the counts are complete for the current source.
pub(super) fn are_of_this_source(run: &Run) -> bool {
    fs::read_to_string(stamp(run)).is_ok_and(|it| Some(it) == identity(run).ok())
}

/// Writes a list of the files with counts.
pub(super) fn list(run: &Run) -> Result<()> {
    let folder = counts(run);
    let paths = file::list(&folder).context("the tests wrote no coverage")?;
    let names = paths.iter().map(|path| path.to_str().context("a path is not UTF-8"));
    let names = names.collect::<Result<Vec<_>>>()?.join("\n");
    atomic::write(&list_file(run), names.as_bytes())
}

/// The file that [`list`] writes.
pub(super) fn list_file(run: &Run) -> PathBuf {
    folder(run).join("counts.txt")
}

/// The merged counts of all programs.
pub(super) fn merged_file(run: &Run) -> PathBuf {
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

/// Identity of source and compiler.
fn identity(run: &Run) -> Result<String> {
    Ok(format!("{} {}", run.workspace.content()?, run.tools.identity("cargo")))
}
