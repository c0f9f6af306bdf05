// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Interrupts publishing: full registry disk, killed publisher, killed registry. After each fault
//! no partial release is visible, and a rerun of the same command completes it. The result
//! verifies, and fails verification with another key.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine::tool::Daemon;
use engine::workspace::Job;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::{file, tree};
use programs::notary;
use programs::registry::{self, Registry};
use publish::push;
use publish::verify::{self, TrustedSigner};
use walkdir::WalkDir;

/// `cargo xtask smoke faults`.
pub struct SmokeFaults;

/// Size of the full disk: smaller than any release, larger than an empty registry.
const SMALL: u64 = 8 << 20;
/// Timeout for a publisher to send the share after which it is killed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Polling interval.
const PAUSE: Duration = Duration::from_millis(2);
/// Exit codes of `notary verify`: no release, and a release that fails verification.
const NOTHING: i32 = 2;
const REJECTED: i32 = 1;

impl Step for SmokeFaults {
    fn describe(&self) -> Description {
        Description::step(
            "smoke-faults",
            "publish to a full disk, and kill publisher and registry during a push",
        )
        .arguments(&[Argument::Engine(Job::Signatures), Argument::Release])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let mut needs = notary::needs();
        needs.extend(["nsenter", "unshare"].map(Need::Tool));
        needs
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let host = "127.0.0.1:PORT";
        Ok(notary::plan(run)
            .command(on_small_disk(run, &registry::serve(run, &storage(run))))
            .command(push::publish(run, host))
            .command(verify::verify(run, host, &TrustedSigner::from_run(run)))
            .reads(Input::Path(run.dist_in_plan())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let trial = Trial { run, log };
        trial.full_disk().context("with a full disk")?;
        let whole = trial.measure_storage()?;
        for share in [5, 50, 90] {
            trial.kill_publisher(whole * share / 100).with_context(|| {
                format!("with a publisher that is killed after {share} % of the bytes")
            })?;
        }
        trial.kill_registry(whole / 2).context("with a registry that is killed")?;
        trial.another_key().context("with another key")?;
        tree::remove(&storage(run))?;
        Ok(Outcome::Done("6 faults, all handled".to_owned()))
    }
}

/// Storage of this test's own registry, apart from the one that the release was published to.
fn storage(run: &Run) -> PathBuf {
    run.workspace.scratch().join("smoke-faults/registry")
}

/// Runs `serve` with a small tmpfs below its storage, in mount and user namespaces of its own: no
/// privileges needed.
fn on_small_disk(run: &Run, serve: &Command) -> Command {
    let script = format!("mount -t tmpfs -o size={SMALL} disk \"$0\" && exec \"$@\"");
    run.command("unshare")
        .args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", &script])
        .arg(storage(run))
        .arg(&serve.program)
        .args(&serve.args)
}

struct Trial<'a> {
    run: &'a Run,
    log: &'a StepLog,
}

impl Trial<'_> {
    fn full_disk(&self) -> Result<()> {
        let serve = on_small_disk(self.run, &self.serve());
        let registry = self.empty_registry(&serve)?;
        let failed = self.run.attempt(self.log, &push::publish(self.run, &registry.host))?;
        ensure!(
            failed.code() == Some(1),
            "publishing exited with {:?} instead of failing",
            failed.code()
        );
        let stderr = failed.stderr();
        ensure!(
            stderr.contains("status 507") && stderr.contains("disk is full"),
            "publishing failed without reporting a full disk: {stderr}"
        );
        self.check_nothing_visible(&registry)?;
        let grow = self
            .run
            .command("nsenter")
            .arg(format!("--target={}", registry.controller.number()))
            .args(["--user", "--preserve-credentials", "--mount"])
            .args(["mount", "-o", "remount,size=90%"])
            .arg(storage(self.run));
        self.run.exec(self.log, &grow)?;
        self.ends_well(&registry)
    }

    /// Storage size in bytes of a registry after an undisturbed push.
    fn measure_storage(&self) -> Result<u64> {
        let registry = self.empty_registry(&self.serve())?;
        self.ends_well(&registry)?;
        size(&storage(self.run))
    }

    /// Kills the publisher when the registry holds `bytes`.
    fn kill_publisher(&self, bytes: u64) -> Result<()> {
        let registry = self.empty_registry(&self.serve())?;
        let publisher = self.start_publisher(&registry, bytes)?;
        publisher.kill()?;
        self.check_nothing_visible(&registry)?;
        self.ends_well(&registry)
    }

    fn kill_registry(&self, bytes: u64) -> Result<()> {
        let registry = self.empty_registry(&self.serve())?;
        let publisher = self.start_publisher(&registry, bytes)?;
        registry.controller.kill()?;
        drop(publisher);
        let registry = self.registry(&self.serve())?;
        self.check_nothing_visible(&registry)?;
        self.ends_well(&registry)?;
        // Acknowledged content must survive a crash of the registry.
        registry.controller.kill()?;
        let registry = self.registry(&self.serve())?;
        self.run.exec(
            self.log,
            &verify::verify(self.run, &registry.host, &TrustedSigner::from_run(self.run)),
        )
    }

    fn another_key(&self) -> Result<()> {
        let registry = self.registry(&self.serve())?;
        let folder = self.run.workspace.scratch().join("smoke-faults/key");
        tree::remove(&folder)?;
        file::create_folder(&folder)?;
        self.run.exec(self.log, &notary::generate(self.run, &folder.join("other.key")))?;
        let verify =
            verify::verify(self.run, &registry.host, &TrustedSigner::Key(folder.join("other.pub")));
        let code = self.run.attempt(self.log, &verify)?.code();
        ensure!(code == Some(REJECTED), "verify exited with {code:?}, expected {REJECTED}");
        Ok(())
    }

    fn empty_registry(&self, serve: &Command) -> Result<Registry> {
        let storage = storage(self.run);
        tree::remove(&storage)?;
        file::create_folder(&storage)?;
        self.registry(serve)
    }

    /// Starts a registry on the existing storage.
    fn registry(&self, serve: &Command) -> Result<Registry> {
        Registry::start(self.run, self.log, SmokeFaults.name(), serve)
    }

    fn serve(&self) -> Command {
        registry::serve(self.run, &storage(self.run))
    }

    /// Starts a publisher and returns it, still running, when the registry holds `bytes`.
    fn start_publisher(&self, registry: &Registry, bytes: u64) -> Result<Daemon> {
        let command = push::publish(self.run, &registry.host);
        let output = self.run.workspace.scratch().join("logs/smoke-faults.publish.log");
        let publisher = self.run.tools.background(self.log, &command, &output)?;
        let deadline = Instant::now() + PATIENCE;
        while size(&storage(self.run))? < bytes {
            ensure!(
                Instant::now() < deadline && !publisher.has_ended()?,
                "the publisher exited too early or took too long; see {}",
                output.display()
            );
            std::thread::sleep(PAUSE);
        }
        Ok(publisher)
    }

    /// Asserts that no release is visible in the registry.
    fn check_nothing_visible(&self, registry: &Registry) -> Result<()> {
        let verify = verify::verify(self.run, &registry.host, &TrustedSigner::from_run(self.run));
        let code = self.run.attempt(self.log, &verify)?.code();
        ensure!(code == Some(NOTHING), "verify exited with {code:?}, expected {NOTHING}");
        Ok(())
    }

    /// Reruns publishing and verifies.
    fn ends_well(&self, registry: &Registry) -> Result<()> {
        self.run.exec(self.log, &push::publish(self.run, &registry.host))?;
        self.run.exec(
            self.log,
            &verify::verify(self.run, &registry.host, &TrustedSigner::from_run(self.run)),
        )
    }
}

/// Total size of the files in `folder`. Files that vanish meanwhile count as 0.
fn size(folder: &Path) -> Result<u64> {
    ensure!(folder.is_dir(), "{} does not exist", folder.display());
    let files = WalkDir::new(folder).into_iter().flatten();
    Ok(files
        .filter_map(|it| it.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|it| it.len())
        .sum())
}
