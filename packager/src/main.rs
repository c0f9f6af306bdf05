// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes distribution packages from a description, and lists the files of RPM packages; `cargo
//! xtask package` and `cargo xtask sbom` call it.
//!
//! Equal descriptions and files give equal bytes; the only time in a package is that of the
//! description. It is a separate program because its RPM dependency is too heavy for xtask.
#![forbid(unsafe_code)]

mod deb;
mod description;
mod gzip;
mod rpm_file;
mod scripts;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, ValueEnum};
use files::Mode;

use self::description::Description;

/// Write a distribution package, or list the files of one
#[derive(Debug, Parser)]
#[command(
    after_help = "Example:\n  packager --format deb --description controller.json --output controller.deb"
)]
struct Arguments {
    /// RPM package to list: SHA-256 and path of each file
    #[arg(long, value_name = "FILE", exclusive = true)]
    list: Option<PathBuf>,
    #[command(flatten)]
    package: Option<Package>,
}

/// The package to write.
#[derive(Debug, Args)]
struct Package {
    /// Format of the package
    #[arg(long)]
    format: Format,
    /// Description of the package, JSON
    #[arg(long, value_name = "FILE")]
    description: PathBuf,
    /// Package to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Debian and derivatives
    Deb,
    /// Fedora, RHEL, SUSE and derivatives
    Rpm,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", escape::lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.list {
        return rpm_file::list(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let package = arguments.package.as_ref().context("no package to write: see --help")?;
    let description = Description::read(&package.description)?;
    let bytes = match package.format {
        Format::Deb => deb::write(&description)?,
        Format::Rpm => rpm_file::write(&description)?,
    };
    files::write(&package.output, Mode::DEFAULT, &bytes)
        .with_context(|| format!("cannot write {}", package.output.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn help_texts_are_as_recorded() {
        insta::assert_snapshot!("help", test_support::help::texts(super::Arguments::command()));
    }
}
