// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Requirements of tests, and records of tests skipped without them.
//!
//! The `test` gate of `cargo xtask` sets [`FOLDER`], reads the records from it, one JSON file each,
//! and counts the tests as skipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io, process, thread};

use serde_json::json;

/// Environment variable with the folder for the records. Without it, skips are only printed.
pub const FOLDER: &str = "TEST_SKIPS_DIR";

/// A requirement of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement<'a> {
    /// A program, or a file of a package, by its name in the catalogue of `cargo xtask`.
    Program(&'a str),
    /// A permission or device of the host: `root rights`, `loop devices`.
    Machine(&'a str),
}

/// Records that the running test is skipped without `requirement`. The caller must then return.
///
/// # Panics
/// When the record can't be written.
pub fn skip(requirement: Requirement<'_>, reason: &str) {
    let (binary, test) = running_test();
    eprintln!("skipped: {test}: {reason}");
    let Some(folder) = env::var_os(FOLDER) else { return };
    let (kind, name) = match requirement {
        Requirement::Program(name) => ("program", name),
        Requirement::Machine(name) => ("machine", name),
    };
    let record = json!({
        "binary": binary,
        "test": test,
        "requirement": { "kind": kind, "name": name },
        "reason": reason,
    });
    write(Path::new(&folder), record.to_string().as_bytes())
        .unwrap_or_else(|error| panic!("cannot record a skip in {}: {error}", folder.display()));
}

/// Writes each record to its own file: tests run in several processes.
fn write(folder: &Path, record: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for number in 0_u64.. {
        let path = folder.join(format!("{}-{number}.json", process::id()));
        match fs::OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(mut file) => return file.write_all(record),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Test binary and test name, from nextest or from program and thread.
fn running_test() -> (String, String) {
    let binary = env::var("NEXTEST_BINARY_ID").unwrap_or_else(|_| {
        let program = env::current_exe().unwrap_or_default();
        let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Cargo appends a hash: `facts-0123456789abcdef`.
        stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned())
    });
    let test = env::var("NEXTEST_TEST_NAME")
        .unwrap_or_else(|_| thread::current().name().unwrap_or("a test").to_owned());
    (binary, test)
}

/// Finds `program` in `PATH`, in the sbin folders, or where `cargo xtask setup` installs it.
/// Records the running test as skipped if it is missing.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let found = find_program(program);
    if found.is_none() {
        skip(Requirement::Program(program), &format!("{program} is not installed"));
    }
    found
}

/// Returns true if all `programs` are installed. Records the missing ones for the running test.
#[must_use]
pub fn have(programs: &[&str]) -> bool {
    programs.iter().filter(|program| find(program).is_none()).count() == 0
}

/// Finds the file `path` of a package without a program. Records the running test as skipped if it
/// is missing. The catalogue of `cargo xtask` has the package.
#[must_use]
pub fn file(path: &str) -> Option<PathBuf> {
    let found = Some(PathBuf::from(path)).filter(|path| path.exists());
    if found.is_none() {
        skip(Requirement::Program(path), &format!("{path} is not installed"));
    }
    found
}

/// Returns `given`: whether the host provides `what`. Records the running test as skipped if not.
#[must_use]
pub fn machine_gives(what: &str, given: bool) -> bool {
    if !given {
        skip(Requirement::Machine(what), &format!("this machine does not give {what}"));
    }
    given
}

/// Checks that `PATH` has the programs of a benchmark, given with their Debian packages.
///
/// # Errors
/// With all missing programs and the command that installs them.
pub fn bench_needs(programs: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<_> = programs.iter().filter(|(program, _)| !is_in_path(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    Err(format!("not installed: {}; fix: apt-get install {}", names.join(", "), packages.join(" ")))
}

/// Folder where `cargo xtask setup` installs programs for this workspace.
pub(crate) fn installed_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

fn is_in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain([installed_folder().join("bin")])
        .chain(administration)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_names_the_missing_program_and_its_package() {
        assert_eq!(bench_needs(&[("sh", "dash")]), Ok(()));
        let missing =
            bench_needs(&[("no-such", "package-of-it"), ("sh", "dash"), ("nor-this", "b")]);
        let expected = "not installed: no-such, nor-this; fix: apt-get install package-of-it b";
        assert_eq!(missing, Err(expected.to_owned()));
    }
}
