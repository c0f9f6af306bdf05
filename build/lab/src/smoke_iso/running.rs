// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Running VMs, and the choice of accelerator: KVM where the firmware really runs, else TCG.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engine::accelerator::Accelerator;
use engine::tool::Daemon;
use engine::{Run, StepLog};
use foundation::file;
use foundation::tree::remove;

use crate::qemu::{Firmware, Halted, Machine, Monitor};

/// Polling interval.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Timeout for the firmware's first character on the console. With KVM it takes two seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running VM. Dropping it ends the VM.
pub(super) struct Running<'a> {
    run: &'a Run,
    pub(super) machine: &'a Machine,
    daemon: Daemon,
    pub(super) monitor: Monitor,
    /// Start time.
    pub(super) began: Instant,
}

impl<'a> Running<'a> {
    /// Starts `machine` with a fresh copy of the firmware's variables.
    pub(super) fn start(run: &'a Run, log: &StepLog, machine: &'a Machine) -> Result<Self> {
        if let Some((variables, original)) = machine.variables() {
            fs::copy(&original, &variables).with_context(|| {
                format!("cannot read {}: install ovmf, or qemu-efi-aarch64", original.display())
            })?;
        }
        let output = machine.folder.join("qemu.log");
        let daemon = run.tools.background(log, &machine.command(), &output)?;
        let monitor = machine.monitor();
        Ok(Self { run, machine, daemon, monitor, began: Instant::now() })
    }

    /// Checks the VM's state, then sleeps for one polling interval.
    ///
    /// # Errors
    /// When the VM has ended or QEMU has stopped it ([`Halted`]), or the run is stopped.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.monitor.check()?;
        if self.daemon.has_ended()? {
            bail!("the VM ended early:\n{}", tail(&self.console()?));
        }
        self.pause()
    }

    /// Waits until the VM has powered off.
    ///
    /// # Errors
    /// When it has not done so by `deadline`, QEMU has stopped it, or the run is stopped.
    pub(super) fn wait_until_off(&mut self, deadline: Instant) -> Result<()> {
        while !self.daemon.has_ended()? {
            self.monitor.check()?;
            ensure!(Instant::now() < deadline, "the VM does not react to its power button");
            self.pause()?;
        }
        Ok(())
    }

    fn pause(&self) -> Result<()> {
        if self.run.tools.stop().is_requested() {
            bail!("the run was stopped");
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// The console output so far.
    pub(super) fn console(&self) -> Result<String> {
        let path = self.machine.console();
        match fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Chooses the accelerator for this run.
///
/// # Errors
/// When `--accel` asks for KVM and there is none, or the probe cannot be started.
pub(super) fn accelerator(run: &Run, log: &StepLog) -> Result<Accelerator> {
    let kvm = Path::new("/dev/kvm").exists();
    choose(run.options.accelerator, kvm, || match probe(run, log) {
        Ok(()) => Ok(true),
        Err(_) if run.tools.stop().is_requested() => bail!("the run was stopped"),
        Err(error) => {
            log.note(&format!("KVM does not work despite /dev/kvm: {error:#}"));
            Ok(false)
        }
    })
}

fn choose(
    by_hand: Option<Accelerator>,
    kvm: bool,
    probe: impl FnOnce() -> Result<bool>,
) -> Result<Accelerator> {
    match by_hand {
        Some(Accelerator::Kvm) if !kvm => {
            bail!("no /dev/kvm on this host\nfix: --accel tcg")
        }
        Some(chosen) => Ok(chosen),
        None if kvm && probe()? => Ok(Accelerator::Kvm),
        None => Ok(Accelerator::Tcg),
    }
}

/// The accelerator to retry with after `error`, if KVM stopped a VM and was not requested.
pub(super) fn fallback(
    error: &anyhow::Error,
    used: Accelerator,
    by_hand: Option<Accelerator>,
) -> Option<Accelerator> {
    let by_kvm = used == Accelerator::Kvm && by_hand.is_none();
    (by_kvm && error.is::<Halted>()).then_some(Accelerator::Tcg)
}

/// Boots the firmware with KVM: neither `/dev/kvm` nor working 16-bit code proves that KVM can run
/// the firmware.
fn probe(run: &Run, log: &StepLog) -> Result<()> {
    let folder = run.workspace.scratch().join("smoke-iso/probe");
    remove(&folder)?;
    file::create_folder(&folder)?;
    let machine = Machine {
        folder,
        accelerator: Accelerator::Kvm,
        firmware: Firmware::Uefi,
        kernel: None,
        memory: 512,
        drives: Vec::new(),
        serial: "PROBE".to_owned(),
        credentials: Vec::new(),
    };
    let mut running = Running::start(run, log, &machine)?;
    while running.console()?.is_empty() {
        ensure!(
            running.began.elapsed() < PATIENCE,
            "the firmware printed nothing within {} s",
            PATIENCE.as_secs()
        );
        running.wait()?;
    }
    Ok(())
}

/// The last lines of the console output.
pub(super) fn tail(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use Accelerator::{Kvm, Tcg};

    #[test]
    fn kvm_is_used_where_the_firmware_runs_with_it() {
        let never = || -> Result<bool> { panic!("nothing is to be tried") };
        assert_eq!(choose(None, false, never).unwrap(), Tcg);
        assert_eq!(choose(None, true, || Ok(false)).unwrap(), Tcg);
        assert_eq!(choose(None, true, || Ok(true)).unwrap(), Kvm);
        assert!(choose(None, true, || bail!("stopped")).is_err());
        assert_eq!(choose(Some(Tcg), true, never).unwrap(), Tcg);
        assert_eq!(choose(Some(Kvm), true, never).unwrap(), Kvm);
        let error = choose(Some(Kvm), false, never).unwrap_err().to_string();
        assert!(error.contains("fix: --accel tcg"), "{error}");
    }

    #[test]
    fn a_machine_that_kvm_let_down_is_emulated_unless_kvm_was_asked_for() {
        let halted = anyhow!(Halted { status: "internal-error".to_owned() }).context("uefi");
        assert_eq!(fallback(&halted, Kvm, None), Some(Tcg));
        assert_eq!(fallback(&halted, Kvm, Some(Kvm)), None);
        assert_eq!(fallback(&halted, Tcg, None), None);
        assert_eq!(fallback(&anyhow!("nothing more came"), Kvm, None), None);
    }
}
