// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests every built tool image: its version, its plans, the programs that its step runs, and its
//! work on a disk (a file behind a loop device). Steps download the test systems.

mod systems;
mod task;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use engine::workspace::Smoke;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::tree::remove;
use foundation::{emulation, file};
use media::container::{Call, Container, Runner, remove_store};
use media::platforms::{self, Platform};
use oci::spec::ImageConfiguration;
use oci::{Digest, Layout};
use programs::notary;
use release::Architecture;

use self::systems::Systems;
use self::task::Task;

/// `cargo xtask smoke images`.
pub struct SmokeImages;

/// Golden plans of the step program's own tests, and the tasks that they are made from.
const PLANS: &str = "tools/step/tests/golden";
const TASKS: &str = "tools/step/tests/testdata/provision";

/// Folders of the task and of a step's state in a container.
const TASK: &str = "/run/provision";
const STATE: &str = "/run/step";

impl Step for SmokeImages {
    fn describe(&self) -> Description {
        Description::step(
            "smoke-images",
            "run every tool image, check its plans and programs, and install test systems",
        )
        .example("--target aarch64")
        .arguments(&[Argument::Target, Argument::Release])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let always = [Need::Wanted("podman"), Need::Space(2 << 30)];
        notary::needs().into_iter().chain(always).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .reads(Input::Path(run.dist_in_plan()))
            .reads(Input::Source(PLANS.into()))
            .reads(Input::Source(TASKS.into()));
        let architectures: Vec<_> = run.options.architectures.iter().map(|it| it.oci()).collect();
        let architectures = architectures.join(", ");
        let images = run.workspace.product().images.iter();
        Ok(images.fold(plan, |plan, image| {
            let Some(Smoke { plans, programs, tasks, .. }) = &image.smoke else { return plan };
            let name = &image.name;
            let plan = plan.native(format!("run {name} for {architectures} with --version"));
            let plan = plans.iter().fold(plan, |plan, name| {
                plan.native(format!("run it with --dry-run, and compare with {PLANS}/{name}.txt"))
            });
            let plan =
                programs.iter().fold(plan, |plan, line| plan.native(format!("run `{line}` in it")));
            tasks.iter().fold(plan, |plan, task| {
                plan.native(format!("run it twice, on a loop device, with {TASKS}/{task}"))
            })
        }))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let [architecture] = run.options.architectures[..] else {
            bail!("images are tested for one architecture at a time: select it with --target");
        };
        let folder = run.workspace.scratch().join("smoke-images");
        clean(&folder)?;
        file::create_folder(&folder)?;
        let mut trial = Trial {
            run,
            log,
            folder,
            architecture,
            runner: None,
            systems: None,
            tasks: BTreeMap::new(),
            unable: BTreeMap::new(),
            calls: 0,
        };
        let manifest = run.manifest()?;
        for image in &run.workspace.product().images {
            let Some(smoke) = &image.smoke else { continue };
            let built = manifest.images.iter().find(|it| it.repository == image.name);
            let built = built.with_context(|| format!("{} is not built", image.name))?;
            let layout = Layout::open(run.dist().join(&built.layout))?;
            trial
                .image(&image.name, smoke, &layout)
                .with_context(|| format!("image {}", image.name))?;
        }
        let fact = trial.summary();
        let folder = trial.folder.clone();
        drop(trial);
        clean(&folder)?;
        Ok(Outcome::Done(fact))
    }
}

/// Output of a step where QEMU user mode lacks a system call: ENOSYS. Images of the host's own
/// architecture show that its kernel has the call. QEMU has openat2 since 9.2.
const UNKNOWN_CALL: &str = "Function not implemented (os error 38)";

/// The golden plan for `architecture`: golden files name the boot loaders of x86-64.
fn golden_for(architecture: Architecture, plan: &str) -> String {
    match architecture {
        Architecture::Amd64 => plan.to_owned(),
        // File names by UEFI 2.10 (table 3.6), shim and GRUB.
        Architecture::Arm64 => [("x86_64-efi", "arm64-efi"), ("x64.", "aa64."), ("X64.", "AA64.")]
            .iter()
            .fold(plan.to_owned(), |plan, (of_x86, of_arm)| plan.replace(of_x86, of_arm)),
    }
}

fn clean(folder: &Path) -> Result<()> {
    remove_store(&folder.join("store"))?;
    remove(folder)
}

/// State of a test run.
struct Trial<'a> {
    run: &'a Run,
    log: &'a StepLog,
    folder: PathBuf,
    architecture: Architecture,
    /// The way to run images that works here, once determined.
    runner: Option<Runner>,
    /// The registry that steps download from, once started.
    systems: Option<Systems>,
    /// Tasks by name: the images of one task work on one disk.
    tasks: BTreeMap<String, Task>,
    /// Tasks that emulation cannot run, by name, with the image that failed.
    unable: BTreeMap<String, String>,
    calls: usize,
}

impl Trial<'_> {
    fn image(&mut self, name: &str, smoke: &Smoke, layout: &Layout) -> Result<()> {
        let platforms = platforms::read(layout)?;
        let platform = platforms.iter().find(|it| it.architecture == self.architecture);
        let platform =
            platform.with_context(|| format!("not built for {}", self.architecture.oci()))?;
        let container = self.start(name, layout, platform)?;
        for plan in &smoke.plans {
            self.plan(&container, smoke, plan)?;
        }
        for line in &smoke.programs {
            let mut words = line.split(' ');
            let program = words.next();
            let call = Call { program, arguments: words.collect(), ..Call::default() };
            self.call(&container, &call)?;
        }
        for task in &smoke.tasks {
            if self.unable.contains_key(task) {
                continue;
            }
            match self.work(&container, smoke, task) {
                Err(error) if self.is_emulated() && format!("{error:#}").contains(UNKNOWN_CALL) => {
                    self.log
                        .note(&format!("{task} stops at {name} because of emulation: {error:#}"));
                    self.unable.insert(task.clone(), name.to_owned());
                }
                worked => worked.with_context(|| format!("task {task}"))?,
            }
        }
        Ok(())
    }

    /// Loads the image with the first runner in which it prints its version.
    fn start(&mut self, name: &str, layout: &Layout, platform: &Platform) -> Result<Container> {
        let ways = match self.runner {
            Some(runner) => vec![runner],
            None => Runner::ALL.to_vec(),
        };
        let mut faults = Vec::new();
        for runner in ways {
            let tried = self.load(runner, name, layout, platform).and_then(|container| {
                let version = Call { arguments: vec!["--version"], ..Call::default() };
                let printed = self.call(&container, &version)?;
                let expected = self.run.version().text();
                ensure!(
                    printed.contains(expected),
                    "it printed {printed:?}, expected version {expected}"
                );
                Ok(container)
            });
            match tried {
                Ok(container) => {
                    if self.runner.is_none() {
                        self.log.note(&format!("images run with {}", runner.name()));
                    }
                    self.runner = Some(runner);
                    return Ok(container);
                }
                Err(error) => faults.push(format!("{}: {error:#}", runner.name())),
            }
        }
        bail!("the image does not start:\n{}", faults.join("\n"))
    }

    fn load(
        &self,
        runner: Runner,
        name: &str,
        layout: &Layout,
        platform: &Platform,
    ) -> Result<Container> {
        // podman: one store for all images; chroot: one folder per image.
        let folder = match runner {
            Runner::Chroot => self.folder.join(name.replace('/', "_")),
            Runner::Podman | Runner::PodmanOwnCgroups => self.folder.clone(),
        };
        fs::create_dir_all(&folder)?;
        let layers = platform.manifest.layers().iter();
        let layers: Vec<PathBuf> = layers
            .map(|layer| Ok(layout.blob_path(&Digest::try_from(layer.digest())?)))
            .collect::<Result<_>>()?;
        let mut printed = Vec::new();
        for command in runner.load(&folder, layout.root(), &layers, self.architecture) {
            printed = self.run.capture(self.log, &command)?;
        }
        let printed = String::from_utf8_lossy(&printed);
        let id = printed.lines().last().unwrap_or_default().to_owned();
        let config = layout.read_document(platform.manifest.config())?;
        let config: ImageConfiguration = serde_json::from_slice(&config)?;
        let entry_point = config.config().as_ref().and_then(|it| it.entrypoint().clone());
        Ok(Container { runner, folder, id, entry_point: entry_point.unwrap_or_default() })
    }

    /// Runs the call and returns its output; it must exit with 0.
    fn call(&mut self, container: &Container, call: &Call<'_>) -> Result<String> {
        self.calls += 1;
        let printed = self.run.capture(self.log, &container.command(call))?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Compares the image's plans with the golden ones. Planning runs as `nobody`.
    fn plan(&mut self, container: &Container, smoke: &Smoke, name: &str) -> Result<()> {
        let (task, _step) = name.split_once('.').context("a plan is named TASK.STEP")?;
        let root = self.run.workspace.root();
        let folder = root.join(TASKS).join(task);
        let arguments = smoke.arguments.iter().map(String::as_str);
        let call = Call {
            arguments: std::iter::once("--dry-run").chain(arguments).collect(),
            folders: vec![(&folder, TASK)],
            nobody: true,
            ..Call::default()
        };
        let plan = self.call(container, &call)?;
        let golden = root.join(PLANS).join(format!("{name}.txt"));
        let expected = file::read_text(&golden)?;
        if plan != golden_for(self.architecture, &expected) {
            bail!("the plan differs from {}:\n{plan}", golden.display());
        }
        Ok(())
    }

    /// Runs the image's part of a task on the disk that the previous images worked on; a second run
    /// must change nothing.
    fn work(&mut self, container: &Container, smoke: &Smoke, name: &str) -> Result<()> {
        if !self.tasks.contains_key(name) {
            let task = self.prepare_task(name)?;
            self.tasks.insert(name.to_owned(), task);
        }
        let task = self.tasks.get(name).context("the task is not prepared")?;
        let (provision, state) = (task.provision(), task.state());
        let root = self.run.workspace.root();
        let own: Vec<_> = smoke.folders.iter().map(|(from, to)| (root.join(from), to)).collect();
        let own = own.iter().map(|(from, to)| (from.as_path(), to.as_str()));
        let call = Call {
            folders: own.chain([(&*provision, TASK), (&*state, STATE)]).collect(),
            privileged: true,
            ..Call::default()
        };
        let stamps = || Ok::<_, anyhow::Error>(fs::read_dir(&state)?.count());
        let before = stamps()?;
        self.call(container, &call)?;
        ensure!(stamps()? > before, "the step wrote no stamp to {}", state.display());
        self.call(container, &call)?;
        Ok(())
    }

    /// The task `name`, with the test systems in place of those in its recipe.
    fn prepare_task(&mut self, name: &str) -> Result<Task> {
        let systems = match self.systems.take() {
            Some(systems) => systems,
            None => Systems::start(self.run, self.log, &self.folder)?,
        };
        let values = systems.values()?;
        self.systems = Some(systems);
        let values: Vec<_> = values
            .iter()
            .filter(|(task, ..)| *task == name)
            .map(|(_, variable, value)| (*variable, value.as_str()))
            .collect();
        let example = self.run.workspace.root().join(TASKS).join(name);
        let folder = self.folder.join(name);
        Task::new(self.run, self.log, &example, &folder, &values, self.is_emulated())
    }

    /// Whether images run under QEMU user mode.
    fn is_emulated(&self) -> bool {
        emulation::emulator(self.architecture).is_some()
    }

    fn summary(&self) -> String {
        let runner = self.runner.map_or("nothing", Runner::name);
        let whole = self.tasks.len() - self.unable.len();
        let unable = self
            .unable
            .iter()
            .map(|(task, image)| format!("; {task} stopped at {image}: QEMU lacks a system call"));
        format!("{} commands in images with {runner}; {whole} tasks complete", self.calls)
            + &unable.collect::<String>()
    }
}
