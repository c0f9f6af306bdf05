// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Boots the live ISO in virtual machines with a task ISO in the second drive, and checks console
//! output and webhook reports.

mod case;
mod guest;
mod judge;
mod media;
mod running;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use assemble::images::is_bound;
use clap::{Args, Command};
use engine::accelerator::Accelerator;
use engine::{
    Argument, Description, Gap, Input, Judgement, Need, Outcome, Plan, Run, Step, StepLog,
};
use foundation::text::{count, megabytes};
use foundation::tree::remove;
use foundation::{checksum, file};
use release::{Architecture, ArtifactKind};

use self::case::{Case, End, Tools};
use self::media::Task;
use self::running::{Running, tail};
use self::webhook::Webhook;
use crate::qemu::{Drive, DriveKind, Machine, Qmp};

/// `cargo xtask smoke iso` and `cargo xtask smoke iso-all`.
pub struct SmokeIso {
    name: &'static str,
    about: &'static str,
    cases: &'static [Case],
}

#[derive(Default, Args)]
struct MachineArguments {
    /// Virtual machines to start, such as bios [default: all]
    #[arg(value_name = "NAME")]
    name: Vec<String>,
}

impl SmokeIso {
    /// One VM, for every CI run.
    pub const FIRST: Self = Self {
        name: "smoke-iso",
        about: "boot the live ISO in a virtual machine and run a task",
        cases: case::FIRST,
    };
    /// All boot methods and failures.
    pub const ALL: Self = Self {
        name: "smoke-iso-all",
        about: "boot the live ISO in all modes, also with damaged media and invalid tasks",
        cases: case::ALL,
    };
}

impl SmokeIso {
    /// The cases named on the command line; all by default.
    fn select_cases(&self, run: &Run) -> Result<Vec<&'static Case>> {
        let names = run.options.step_arguments::<MachineArguments>().name;
        if let Some(unknown) =
            names.iter().find(|name| self.cases.iter().all(|it| it.name != **name))
        {
            let known: Vec<_> = self.cases.iter().map(|case| case.name).collect();
            bail!("unknown virtual machine {unknown:?}: expected one of {}", known.join(", "));
        }
        let wanted = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
        Ok(self.cases.iter().filter(wanted).collect())
    }
}

/// Drive name of the live medium.
const LIVE: &str = "live";
/// Timeout of a VM. A busy host can be a hundred times slower than an idle one.
const PATIENCE: Duration = Duration::from_mins(20);
/// Attempts for a VM that fails because of the emulation.
const ATTEMPTS: usize = 3;
/// Kernel messages that are typical of failures of the emulation.
const EMULATION: &[&str] = &["IO-APIC + timer doesn't work", "clocksource: timekeeping watchdog"];

impl Step for SmokeIso {
    fn describe(&self) -> Description {
        Description::step(self.name, self.about)
            .arguments(&[Argument::Accelerator, Argument::Release])
    }

    fn own_arguments(&self, command: Command) -> Command {
        MachineArguments::augment_args(command)
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let cases = self.select_cases(run).unwrap_or_default();
        let tools = cases.iter().flat_map(|it| [Some(it.firmware.program()), it.firmware.tool()]);
        let programs: BTreeSet<_> = tools.flatten().collect();
        programs.into_iter().map(Need::Tool).chain([Need::Space(1 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(self.select_cases(run)?.into_iter().fold(
            Plan::new().reads(Input::Manifest),
            |plan, case| {
                plan.reads(Input::Tool(case.firmware.program()))
                    .native(format!("{}: {:?}", case.name, case.end))
                    .command(
                        machine(case, Accelerator::Tcg, Path::new("LIVE.iso"), &folder(run, case))
                            .command(),
                    )
            },
        ))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let named = run.options.step_arguments::<MachineArguments>().name;
        let mut accelerator = running::accelerator(run, log)?;
        let mut facts = Vec::new();
        let mut gaps = Vec::new();
        let mut times = BTreeMap::new();
        for case in self.select_cases(run)? {
            let architecture = case.firmware.architecture();
            let iso = iso(run, architecture)?;
            if let Some((lacking, fix)) = find_missing(run, case, iso.as_deref())? {
                let asked = !named.is_empty() || case.name == case::PLAIN.name;
                ensure!(!asked, "{}: {lacking}\nfix: {fix}", case.name);
                let problem = format!("the VM {} was not started: {lacking}", case.name);
                log.note(&problem);
                gaps.push(Gap { problem, fix });
                continue;
            }
            let iso = iso.context("there is no ISO")?;
            let began = Instant::now();
            let ran = attempts(run, log, case, &mut accelerator, &iso).with_context(|| {
                format!("{}; see its console in {}", case.name, folder(run, case).display())
            })?;
            let mut fact = ran.fact;
            if let Some(started) = ran.started {
                let (seconds, read) = (started.after.as_secs_f64(), megabytes(started.read));
                fact = format!("{fact}, dispatcher after {seconds:.1} s and {read}");
                times.insert(case.name, started.after);
            }
            log.note(&format!("{}: {fact} ({} s)", case.name, began.elapsed().as_secs()));
            facts.push(format!("{} {fact}", case.name));
        }
        if let (Some(iso), Some(direct)) = (times.get(case::PLAIN.name), times.get(case::DIRECT)) {
            let ratio = iso.as_secs_f64() / direct.as_secs_f64();
            facts.push(format!("{ratio:.2} times the kernel alone"));
        }
        facts.insert(0, format!("with {}", accelerator.name()));
        Ok(outcome(facts.join("; "), gaps))
    }
}

/// The outcome of all VMs: one that was not started is a gap.
fn outcome(fact: String, gaps: Vec<Gap>) -> Outcome {
    if gaps.is_empty() {
        return Outcome::Done(fact);
    }
    let fact = format!("{fact}; {} not started", count(gaps.len(), "VM"));
    Outcome::Judged(Judgement { fact, gaps, ..Judgement::default() })
}

/// Result of a case.
struct Ran {
    /// Fact for the summary table.
    fact: String,
    /// Cost of booting up to the dispatcher's first line.
    started: Option<Started>,
}

/// Cost of booting, from VM start to the dispatcher's first line.
#[derive(Debug, Clone, Copy)]
struct Started {
    after: Duration,
    /// Bytes read from the live medium.
    read: u64,
}

/// The release's live ISO for `architecture`, if it has one.
pub(crate) fn iso(run: &Run, architecture: Architecture) -> Result<Option<PathBuf>> {
    let manifest = run.manifest()?;
    let iso = manifest
        .artifacts
        .iter()
        .find(|it| it.kind == ArtifactKind::Iso && it.architecture == Some(architecture));
    Ok(iso.map(|iso| run.dist().join(&iso.path)))
}

/// The file that the release lacks for `case`, with the fix.
fn find_missing(run: &Run, case: &Case, iso: Option<&Path>) -> Result<Option<(String, String)>> {
    let architecture = case.firmware.architecture();
    if iso.is_none() {
        let lacking = format!("the release has no ISO for {}", architecture.oci());
        return Ok(Some((
            lacking,
            format!(
                "cargo xtask ci nightly builds it; or cargo xtask maintenance --target {0} && cargo xtask iso --target {0}",
                architecture.rust()
            ),
        )));
    }
    if case.tools != Tools::Bound {
        return Ok(None);
    }
    let declared = run.workspace.product().iso.as_ref().context("release.toml has no [iso]")?;
    let images = run.manifest()?.images;
    let image = images.iter().find(|image| image.repository == declared.image);
    let image = image.with_context(|| format!("no image {}", declared.image))?;
    Ok((!is_bound(run, image)?).then(|| {
        let fix = "cargo xtask maintenance --bind-tools && cargo xtask iso".to_owned();
        ("the ISO has no bound tool images".to_owned(), fix)
    }))
}

fn folder(run: &Run, case: &Case) -> PathBuf {
    run.workspace.scratch().join("smoke-iso").join(case.name)
}

fn machine(case: &Case, accelerator: Accelerator, iso: &Path, folder: &Path) -> Machine {
    let cd = |id: &str, file: PathBuf, bytes_per_second| Drive {
        id: id.to_owned(),
        file,
        kind: DriveKind::Cd,
        bytes_per_second,
    };
    let mut drives = vec![cd(LIVE, iso.to_owned(), case.bytes_per_second)];
    if case.task.is_some() && !case.one_drive {
        drives.push(cd("task", folder.join("task.iso"), 0));
    }
    // The host's CPU features do not apply to another architecture.
    let foreign = case.firmware.architecture().rust() != std::env::consts::ARCH;
    Machine {
        folder: folder.to_owned(),
        accelerator: if foreign { Accelerator::Tcg } else { accelerator },
        firmware: case.firmware,
        kernel: None,
        memory: case.memory,
        drives,
        serial: media::SERIAL.to_owned(),
        credentials: guest::credentials(case, if case.task.is_some() { 900 } else { 5 }),
    }
}

/// Runs `case`. Retries when the emulation failed, and falls back to TCG when KVM stopped the VM.
fn attempts(
    run: &Run,
    log: &StepLog,
    case: &Case,
    accelerator: &mut Accelerator,
    iso: &Path,
) -> Result<Ran> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let error = match attempt(run, log, case, *accelerator, iso) {
            Err(error) if left > 0 => error,
            ended => return ended,
        };
        let by_hand = run.options.accelerator;
        let sign = if let Some(other) = running::fallback(&error, *accelerator, by_hand) {
            *accelerator = other;
            "using emulation from now on"
        } else if let Some(sign) = find_emulation_fault(run, case) {
            sign
        } else {
            return Err(error);
        };
        log.note(&format!("{}: retrying ({sign}): {error:#}", case.name));
    }
}

/// The console's sign of a failure of the emulation, if any.
fn find_emulation_fault(run: &Run, case: &Case) -> Option<&'static str> {
    let console = fs::read(folder(run, case).join("console.log")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console).into_owned();
    EMULATION.iter().copied().find(|sign| console.contains(sign))
}

fn attempt(
    run: &Run,
    log: &StepLog,
    case: &Case,
    accelerator: Accelerator,
    iso: &Path,
) -> Result<Ran> {
    let folder = folder(run, case);
    remove(&folder)?;
    file::create_folder(&folder)?;
    let webhook = Webhook::start();
    let epoch = run.workspace.epoch();
    if let Some(task) = case.task {
        let url = webhook.url_in_vm();
        media::task(run.workspace.root(), &folder.join("task.iso"), task, &url, epoch)?;
    }
    let live = match case.change {
        None => iso.to_owned(),
        Some(change) => {
            let live = folder.join("live.iso");
            media::copy_with_change(iso, &live, change)?;
            live
        }
    };
    let mut machine = machine(case, accelerator, &live, &folder);
    if case.direct {
        machine.kernel = Some(media::kernel(&live, &folder)?);
    }
    let decoys = if case.decoys { media::decoys(iso, &folder, epoch)? } else { Vec::new() };
    let mut before = Vec::new();
    for decoy in decoys {
        before.push((decoy.file.clone(), checksum::sha256(&decoy.file)?.0));
        machine.drives.push(decoy);
    }
    let full =
        if case.task == Some(Task::Erase) { media::full_disks(&folder)? } else { Vec::new() };
    machine.drives.extend_from_slice(&full);
    let watched = Watch { case, running: Running::start(run, log, &machine)? };
    let (console, started) = watched.until_end()?;
    for (file, sha256) in before {
        ensure!(
            checksum::sha256(&file)?.0 == sha256,
            "{} has changed: the host must not write to it",
            file.display()
        );
    }
    for disk in full {
        media::check_erased(&disk.file)?;
    }
    let fact = judge::judge(case, &console, &webhook, run.version().text())?;
    Ok(Ran { fact, started })
}

/// A running VM of a case.
struct Watch<'a> {
    case: &'a Case,
    running: Running<'a>,
}

impl Watch<'_> {
    /// Waits for the VM's last line; returns the console output, and the cost of booting up to the
    /// dispatcher's first line.
    fn until_end(mut self) -> Result<(String, Option<Started>)> {
        let deadline = self.running.began + PATIENCE;
        let mut started = None;
        let mut task_is_in = !self.case.one_drive;
        loop {
            let console = self.running.console()?;
            if started.is_none() && console.contains("dispatcher: ") {
                let after = self.running.began.elapsed();
                let reads = self.running.monitor.qmp()?.reads()?;
                let read = reads.iter().find(|(drive, _)| drive == LIVE);
                started = Some(Started { after, read: read.map_or(0, |(_, bytes)| *bytes) });
            }
            if is_refused(self.case, &console) {
                // The VM may reset by itself, which ends QEMU.
                if let Ok(qmp) = self.running.monitor.qmp() {
                    take_last_look(self.running.machine, qmp)?;
                }
                return Ok((console, started));
            }
            if console.contains(guest::END) {
                let qmp = self.running.monitor.qmp()?;
                take_last_look(self.running.machine, qmp)?;
                qmp.press_power_button()?;
                self.running.wait_until_off(deadline)?;
                return Ok((console, started));
            }
            if !task_is_in && console.contains("the medium is not needed any more") {
                let task = self.running.machine.folder.join("task.iso");
                self.running.monitor.qmp()?.change_medium(LIVE, &task)?;
                task_is_in = true;
            }
            self.running.wait()?;
            if Instant::now() >= deadline {
                let output = tail(&console);
                bail!("no further output within {} s:\n{output}", PATIENCE.as_secs());
            }
        }
    }
}

/// Takes a screenshot and checks that no disk was written to, except for those to erase.
fn take_last_look(machine: &Machine, qmp: &mut Qmp) -> Result<()> {
    // A screenshot is optional.
    drop(qmp.screenshot(&machine.folder.join("screen.png")));
    for (drive, count) in qmp.writes()? {
        let ours = machine.drives.iter().any(|it| it.id == drive);
        let erased = media::ERASED.iter().any(|(name, ..)| *name == drive);
        ensure!(!ours || erased || count == 0, "the VM wrote {count} times to {drive}");
    }
    Ok(())
}

fn is_refused(case: &Case, console: &str) -> bool {
    matches!(case.end, End::Refused(texts) if texts.iter().any(|text| console.contains(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_did_not_start_is_a_gap() {
        assert_eq!(outcome("by KVM".into(), Vec::new()), Outcome::Done("by KVM".into()));
        let gap = Gap { problem: "arm64 was not started".into(), fix: "cargo xtask iso".into() };
        let Outcome::Judged(judgement) = outcome("by KVM".into(), vec![gap.clone()]) else {
            panic!("passed with a VM that did not start");
        };
        assert_eq!(judgement.gaps, [gap]);
        assert!(!judgement.expected);
        assert_eq!(judgement.fact, "by KVM; 1 VM not started");
    }

    #[test]
    fn names_of_cases_are_unique_and_safe_as_folders() {
        let mut names: Vec<_> = case::ALL.iter().map(|case| case.name).collect();
        assert!(names.iter().all(|name| {
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        }));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), case::ALL.len());
    }
}
