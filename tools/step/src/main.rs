// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Typed step programs of the tool images: one static binary, one subcommand for each.
//!
//! A step reads the task in `/run/provision`, creates a plan as data, and prints it (`--dry-run`)
//! or executes it. `docs/reference/steps.md` describes each step.
#![forbid(unsafe_code)]

mod action;
mod arrange;
mod bcd;
mod boot_entry;
mod command;
mod contents;
mod disk;
mod download;
mod erase;
mod execute;
mod files;
mod fstab;
mod grub;
mod ids;
mod image;
mod mkfs;
mod mounts;
mod plan;
mod program;
mod progress;
mod roots;
mod stamp;
mod task;
mod tree;
mod unpack;
mod volumes;
mod wim;

/// Steps: each makes a plan from a task, without side effects.
mod steps {
    pub(crate) mod bootloader_linux;
    pub(crate) mod bootloader_windows;
    pub(crate) mod config_drive;
    pub(crate) mod erase;
    pub(crate) mod firmware;
    pub(crate) mod image_linux;
    pub(crate) mod image_windows;
    pub(crate) mod partition;
}

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::plan::Plan;
use crate::stamp::{Stamp, State};
use crate::steps::{
    bootloader_linux, bootloader_windows, config_drive, erase as erase_step, firmware, image_linux,
    image_windows, partition,
};
use crate::task::Task;

/// Execute one step of a provisioning task
#[derive(Parser)]
#[command(
    version = build_info::long_version(),
    propagate_version = true,
    after_help = "Example: step partition --dry-run\n\n\
                  Exit codes: 0 done, or nothing to do; 1 the step failed; 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Folder with the task files of the dispatcher
    #[arg(long, global = true, value_name = "DIR", default_value = recipe::provision::DEFAULT_DIR)]
    provision: PathBuf,
    /// Folder for stamps of finished steps and temporary files
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/step")]
    state: PathBuf,
    /// Print the plan without executing it
    #[arg(long, global = true)]
    dry_run: bool,
    /// Print the plan as JSON
    #[arg(long, global = true, requires = "dry_run")]
    json: bool,
}

#[derive(Subcommand)]
enum Step {
    /// Write the partition table and create the file systems
    Partition(partition::Options),
    /// Pull the operating system image and unpack it
    ImageLinux(image_linux::Options),
    /// Pull and apply a WIM, and install the answer file
    ImageWindows(image_windows::Options),
    /// Write fstab and install GRUB
    BootloaderLinux,
    /// Install Windows' boot manager and BCD on the EFI system partition
    BootloaderWindows,
    /// Write a `NoCloud` config drive for cloud-init
    ConfigDrive(config_drive::Options),
    /// Download a firmware image and run the vendor's tool
    Firmware(firmware::Options),
    /// Erase the disks of the recipe, and verify that they are erased
    Erase(erase_step::Options),
}

impl Step {
    /// The subcommand's name.
    fn name(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::ImageLinux(_) => "image-linux",
            Self::ImageWindows(_) => "image-windows",
            Self::BootloaderLinux => "bootloader-linux",
            Self::BootloaderWindows => "bootloader-windows",
            Self::ConfigDrive(_) => "config-drive",
            Self::Firmware(_) => "firmware",
            Self::Erase(_) => "erase",
        }
    }

    fn plan(&self, task: &Task) -> Result<Plan> {
        match self {
            Self::Partition(options) => partition::plan(task, options),
            Self::ImageLinux(options) => image_linux::plan(task, options),
            Self::ImageWindows(options) => image_windows::plan(task, options),
            Self::BootloaderLinux => bootloader_linux::plan(task),
            Self::BootloaderWindows => bootloader_windows::plan(task),
            Self::ConfigDrive(options) => config_drive::plan(task, options),
            Self::Firmware(options) => firmware::plan(task, options),
            Self::Erase(options) => erase_step::plan(task, options),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.step, &cli.common) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(step: &Step, common: &Common) -> Result<()> {
    let name = step.name();
    if common.dry_run {
        let task = Task::read(&common.provision, work_folder(&common.state, name))?;
        return show(&step.plan(&task)?, common.json);
    }
    let state = State::open(&common.state, name)?;
    // Resolved, so that symbolic links of the image can be told apart from those of the host.
    let work = work_folder(&fs::canonicalize(&common.state)?, name);
    let task = Task::read(&common.provision, work.clone())?;
    carry_out(&step.plan(&task)?, &state, &work)
}

fn work_folder(state: &Path, step: &str) -> PathBuf {
    state.join("work").join(step)
}

fn show(plan: &Plan, json: bool) -> Result<()> {
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(plan)?)?;
    } else {
        write!(io::stdout(), "{plan}")?;
    }
    Ok(())
}

/// Executes `plan`, unless its stamp shows that it is done.
fn carry_out(plan: &Plan, state: &State, work: &Path) -> Result<()> {
    let step = plan.step;
    let asked = format!("sha256:{}", plan.digest()?);
    if plan.actions.is_empty() {
        eprintln!("{step}: nothing to do, the recipe does not use this step");
    } else if state.stamp()?.is_some_and(|stamp| stamp.asked == asked) {
        eprintln!("{step}: nothing to do, the plan {asked} was executed before");
        return Ok(());
    }
    state.clear()?;
    let done = execute::execute(plan, work)?;
    let version = build_info::version().to_owned();
    state.record(&Stamp { step: step.to_owned(), asked, version, done })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    use clap::CommandFactory as _;

    #[test]
    fn help_texts_are_as_recorded() {
        insta::assert_snapshot!("help", test_support::help::texts(super::Cli::command()));
    }

    #[test]
    fn every_step_has_a_golden_plan() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let files: Vec<_> =
            fs::read_dir(golden).unwrap().map(|it| it.unwrap().file_name()).collect();
        for step in super::Cli::command().get_subcommands() {
            let end = format!(".{}.txt", step.get_name());
            let is_plan = |file: &OsString| file.to_str().unwrap().ends_with(&end);
            assert!(files.iter().any(is_plan), "tests/golden has no *{end}");
        }
    }
}
