// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Distribution packages: their files and paths, as input of `packager`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use engine::workspace::Deliver;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{atomic, file};
use serde::Serialize;
use serde_json::json;

use super::contents::NOTICES;
use crate::build::Output;

/// A file of a package, in `packager`'s format.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Installed {
    /// Absolute path on the system.
    path: String,
    /// Source file.
    source: PathBuf,
    /// Whether it is executable.
    executable: bool,
    /// Whether it is a configuration file.
    config: bool,
    /// Whether it is compressed.
    gzip: bool,
}

impl Installed {
    fn new(path: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
            executable: false,
            config: false,
            gzip: false,
        }
    }
}

/// Whether `form` is a distribution package.
pub(super) fn writes(form: Deliver) -> bool {
    matches!(form, Deliver::Deb | Deliver::Rpm)
}

/// Builds `packager` for this host.
pub(super) fn build(run: &Run) -> Command {
    programs::build(run, "packager")
}

/// The command that writes the package `path`.
pub(super) fn command(run: &Run, form: Deliver, path: &Path) -> Command {
    let program = programs::path(run, "packager");
    let format = if form == Deliver::Deb { "deb" } else { "rpm" };
    run.command(&program.to_string_lossy())
        .args(["--format", format, "--description"])
        .arg(work(run, path).join("description.json"))
        .arg("--output")
        .arg(path)
}

/// All files in the RPM package at `path`, with their SHA-256 in hex. [`build`] must have run.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn list_rpm(run: &Run, log: &StepLog, path: &Path) -> Result<BTreeMap<String, String>> {
    let program = programs::path(run, "packager");
    let command = run.command(&program.to_string_lossy()).arg("--list").arg(path);
    let listed = String::from_utf8(run.attempt_machine(log, &command)?.success()?)?;
    let files = listed.lines().filter_map(|line| line.split_once("  "));
    Ok(files.map(|(sha256, path)| (path.to_owned(), sha256.to_owned())).collect())
}

/// Working directory for the package `path`.
fn work(run: &Run, path: &Path) -> PathBuf {
    run.workspace.scratch().join("packages-of-systems").join(path.file_name().unwrap_or_default())
}

/// Writes the package `path` of `output`, with its `executable` and `generated` files.
///
/// # Errors
/// When one of its files cannot be read, the unit starts another program, or `packager` fails.
pub(super) fn write(
    run: &Run,
    log: &StepLog,
    output: &Output<'_>,
    form: Deliver,
    (executable, generated): (&Path, &[(String, PathBuf)]),
    path: &Path,
) -> Result<()> {
    let root = run.workspace.root();
    let program = &output.binary.name;
    let system = output.binary.system.as_ref();
    let system = system.with_context(|| format!("{program} has no [binary.system]"))?;
    let documents = format!("/usr/share/doc/{}", system.name);

    let unit = system.unit.file_name().context("the unit has no name")?.to_string_lossy();
    let rendered = work(run, path).join(&*unit);
    let text = root.join(&system.unit);
    let text = file::read_text(&text)?;
    atomic::write(&rendered, as_packaged(&text, program)?.as_bytes())?;

    let mut files = vec![
        Installed { executable: true, ..Installed::new(format!("/usr/bin/{program}"), executable) },
        Installed::new(format!("/usr/lib/systemd/system/{unit}"), rendered),
        // Debian Policy, 12.5; other distributions allow any name.
        Installed::new(
            format!("{documents}/{}", if form == Deliver::Deb { "copyright" } else { "LICENSE" }),
            root.join("LICENSE"),
        ),
    ];
    files.extend(system.config.iter().map(|(path, source)| Installed {
        config: true,
        ..Installed::new(path, root.join(source))
    }));
    for (name, source) in generated {
        let path =
            place(name, form, &documents).with_context(|| format!("no system path for {name}"))?;
        // Debian Policy, 12.1; other distributions do the same.
        files.push(Installed {
            gzip: path.starts_with("/usr/share/man/"),
            ..Installed::new(path, source)
        });
    }
    files.sort();

    let above = |path: &String| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut folders: BTreeSet<_> = system.config.keys().filter_map(above).collect();
    folders.insert(documents);
    let product = &run.workspace.product().product;
    let description = json!({
        "name": system.name,
        "version": run.version().text(),
        "architecture": output.target.architecture.oci(),
        "epoch": run.workspace.epoch(),
        "summary": system.summary,
        "text": system.description.trim(),
        "license": product.license,
        "vendor": product.vendor,
        "homepage": product.source,
        "recommends": system.recommends,
        "unit": unit,
        "state": system.state,
        "folders": folders,
        "files": files,
    });
    let command = command(run, form, path);
    let description = serde_json::to_string_pretty(&description)?;
    atomic::write(&work(run, path).join("description.json"), description.as_bytes())?;
    run.exec(log, &command)
}

/// The unit with the program in `/usr/bin`: `/usr/local` is for local installations (Filesystem
/// Hierarchy Standard 3.0, 4.9).
fn as_packaged(unit: &str, program: &str) -> Result<String> {
    let local = format!("/usr/local/bin/{program}");
    ensure!(unit.contains(&local), "the unit does not start {local}");
    Ok(unit.replace(&local, &format!("/usr/bin/{program}")))
}

/// System path of a manual page, a completion or the notices; `name` is the path in an archive.
fn place(name: &str, form: Deliver, documents: &str) -> Option<String> {
    let Some((folder, file)) = name.rsplit_once('/') else {
        return (name == NOTICES).then(|| format!("{documents}/{name}"));
    };
    match (folder, file.rsplit_once('.')) {
        ("man", Some((_, section))) => Some(format!("/usr/share/man/man{section}/{file}.gz")),
        ("completions", Some((program, "bash"))) => {
            Some(format!("/usr/share/bash-completion/completions/{program}"))
        }
        ("completions", Some((_, "fish"))) => {
            Some(format!("/usr/share/fish/vendor_completions.d/{file}"))
        }
        ("completions", None) => Some(match form {
            Deliver::Deb => format!("/usr/share/zsh/vendor-completions/{file}"),
            _ => format!("/usr/share/zsh/site-functions/{file}"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_generated_goes_where_a_system_looks_for_it() {
        use Deliver::{Deb, Rpm};
        for (name, form, expected) in [
            ("man/app-serve.8", Deb, Some("/usr/share/man/man8/app-serve.8.gz")),
            ("completions/app.bash", Rpm, Some("/usr/share/bash-completion/completions/app")),
            ("completions/app.fish", Rpm, Some("/usr/share/fish/vendor_completions.d/app.fish")),
            ("completions/_app", Deb, Some("/usr/share/zsh/vendor-completions/_app")),
            ("completions/_app", Rpm, Some("/usr/share/zsh/site-functions/_app")),
            ("THIRD-PARTY-NOTICES", Rpm, Some("/doc/THIRD-PARTY-NOTICES")),
            ("completions/app.elv", Deb, None),
            ("README", Deb, None),
        ] {
            assert_eq!(place(name, form, "/doc").as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_packaged_unit_starts_the_packaged_program() {
        let unit = include_str!("../../../../controller/packaging/controller.service");
        let packaged = as_packaged(unit, "controller").unwrap();
        assert!(packaged.contains("\nExecStart=/usr/bin/controller serve "), "{packaged}");
        assert!(!packaged.contains("/usr/local"), "{packaged}");
        let error = as_packaged("ExecStart=/opt/controller", "controller").unwrap_err();
        assert!(error.to_string().contains("does not start /usr/local/bin/controller"));
    }
}
