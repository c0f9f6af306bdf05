// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Boots the test Linux in a VM from a disk that it was unpacked to. The WIM is tested by the
//! steps' own tests.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use assemble::test_artifacts;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::file;
use foundation::tree::remove;
use release::Architecture;

/// `cargo xtask smoke test-artifacts`.
pub struct SmokeTestArtifacts;

/// The system's message when it is up.
pub(crate) const MARKER: &str = "test rootfs: up: kernel ";
/// UUID of the root file system.
const ROOT: &str = "6f1a0f5e-0000-4000-8000-000000000001";
/// Timeout in seconds; an emulated VM boots in 5 to 60.
const PATIENCE: &str = "300";

impl Step for SmokeTestArtifacts {
    fn describe(&self) -> Description {
        Description::step("smoke-test-artifacts", "boot the test Linux in a virtual machine")
            .example("--target aarch64")
            .arguments(&[Argument::Target])
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let machines = run.options.architectures.iter().map(|it| machine(*it).0);
        let tools = ["mkfs.ext4", "tar", "zstd"].into_iter().chain(machines);
        tools.map(Need::Tool).chain([Need::Space(1 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = run.options.architectures.iter().fold(Plan::new(), |plan, architecture| {
            let trial = Trial::new(run, *architecture);
            let kernel = (Path::new("KERNEL").to_owned(), Path::new("INITRD").to_owned());
            let [unpack, disk] = trial.prepare(run);
            plan.reads(Input::Path(trial.archive.clone()))
                .command(unpack)
                .command(disk)
                .command(trial.start(run, &kernel))
        });
        Ok(plan.native(format!("find {MARKER:?} in the console output")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        for architecture in &run.options.architectures {
            let trial = Trial::new(run, *architecture);
            ensure!(
                trial.archive.exists(),
                "{} does not exist: run `cargo xtask test-artifacts`",
                trial.archive.display()
            );
            remove(&trial.folder)?;
            file::create_folder(&trial.root())?;
            for command in trial.prepare(run) {
                run.exec(log, &command)?;
            }
            let printed = run.capture(log, &trial.start(run, &trial.kernel()?))?;
            ensure!(
                String::from_utf8_lossy(&printed).contains(MARKER),
                "the VM for {} ended without printing {MARKER:?}",
                architecture.oci()
            );
            remove(&trial.folder)?;
        }
        Ok(Outcome::Done(format!("{} systems booted", run.options.architectures.len())))
    }
}

/// QEMU system emulator, its arguments for the machine type, and the name of the serial console.
fn machine(architecture: Architecture) -> (&'static str, &'static [&'static str], &'static str) {
    match architecture {
        Architecture::Amd64 => ("qemu-system-x86_64", &[], "ttyS0"),
        Architecture::Arm64 => {
            ("qemu-system-aarch64", &["-machine", "virt", "-cpu", "cortex-a57"], "ttyAMA0")
        }
    }
}

/// A VM under test.
struct Trial {
    architecture: Architecture,
    archive: PathBuf,
    folder: PathBuf,
}

impl Trial {
    fn new(run: &Run, architecture: Architecture) -> Self {
        let archive = test_artifacts::folder(run).join(test_artifacts::file_of(architecture));
        let name = format!("smoke-test-artifacts-{}", architecture.oci());
        Self { architecture, archive, folder: run.workspace.scratch().join(name) }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    /// Unpacks the system and creates a disk from it.
    fn prepare(&self, run: &Run) -> [Command; 2] {
        let unpack = run
            .command("tar")
            .args(["--extract", "--zstd", "--file"])
            .arg(&self.archive)
            .arg("--directory")
            .arg(self.root());
        let disk = run
            .command("mkfs.ext4")
            .args(["-q", "-U", ROOT, "-d"])
            .arg(self.root())
            .arg(self.disk())
            .arg("128M");
        [unpack, disk]
    }

    /// Kernel and initial RAM disk of the unpacked system.
    fn kernel(&self) -> Result<(PathBuf, PathBuf)> {
        let boot = self.root().join("boot");
        let paths = file::list(&boot)?;
        let mut names = paths.iter().rev().filter_map(|path| path.file_name()?.to_str());
        let version = names.find_map(|name| name.strip_prefix("vmlinuz-"));
        let version = version.context("the system has no kernel")?;
        Ok((boot.join(format!("vmlinuz-{version}")), boot.join(format!("initrd.img-{version}"))))
    }

    /// Runs the VM, which powers itself off.
    fn start(&self, run: &Run, (kernel, ramdisk): &(PathBuf, PathBuf)) -> Command {
        let (program, kind, console) = machine(self.architecture);
        let mut drive = std::ffi::OsString::from("format=raw,if=virtio,file=");
        drive.push(self.disk());
        // One processor: emulated kernels sometimes panic with more.
        run.command("timeout")
            .args([PATIENCE, program])
            .args(kind)
            .args(["-accel", "tcg", "-smp", "1", "-m", "512", "-display", "none", "-no-reboot"])
            .args(["-nic", "none", "-monitor", "none", "-serial", "stdio", "-drive"])
            .arg(drive)
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(ramdisk)
            .arg("-append")
            .arg(format!("console={console} panic=-1 root=UUID={ROOT} test.poweroff"))
    }
}
