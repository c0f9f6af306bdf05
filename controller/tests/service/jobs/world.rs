// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Simulated hosts, and a controller for them that can be killed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller::database::Database;
use controller::inventory;
use controller::jobs::bmc::{
    Bmc, EventSink, Failure, Media, Operation, OperationFuture, ResetAttempt, Retry, Secret,
    Started, StepFuture, Target, TlsPolicy,
};
use controller::jobs::model::{JobId, State, Step};
use controller::jobs::runner::{Runner, Settings};
use controller::jobs::store::{self, Event, Job, NewJob, Report, ReportReceipt, StoreError};
use controller::jobs::task::{PublishError, Publisher};
use controller::keyring::Keyring;
use controller::labels::Labels;
use controller::operations::{Kind, OperationResult};
use recipe::controller::ControllerAccess;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const RECIPE: &str = r#"{"task_target":"install-linux.target","target_disk":"/dev/sda","oci_url":"registry.example/os/debian:13","partition_layout":[{"size":"100%","type_guid":"8300","format":"ext4"}],"user_data":"only-in-the-recipe"}"#;

/// Behaviour of the hosts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostBehaviour {
    /// Every operation and every task succeeds.
    Good,
    /// Operations succeed, tasks never report.
    Silent,
    /// Operations fail, or succeed and appear to fail; whether a host was reset may be unknown.
    Bad,
    /// Operations fail, with secrets in progress messages and failures.
    Talkative,
}

/// A token as in the URLs of task ISOs.
pub(crate) const TOKEN: &str = "Zm9v-YmFy_YmF6MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG0";
/// The password of every BMC.
pub(crate) const PASSWORD: &str = "only-in-the-tests";

#[derive(Default)]
struct Machine {
    media: Option<JobId>,
    boot_once: bool,
    /// The job that the host was last reset into; a boot from disk does not change it.
    booted: Option<JobId>,
}

/// All hosts and their history.
pub(crate) struct World {
    behaviour: HostBehaviour,
    rng: Mutex<fastrand::Rng>,
    machines: Mutex<HashMap<String, Machine>>,
    pub(crate) resets: Mutex<HashMap<JobId, u32>>,
    pub(crate) restarts: Mutex<HashMap<JobId, u32>>,
    /// Reports that were not acknowledged yet.
    pub(crate) outbox: Mutex<Vec<(String, JobId)>>,
    pub(crate) calls: Mutex<Vec<&'static str>>,
    /// The operation (counted from 1) at which the controller is to be killed, and its
    /// notification.
    pub(crate) trap: Mutex<Option<(usize, oneshot::Sender<()>)>>,
    /// Every BMC rejects the credentials.
    pub(crate) is_locked: AtomicBool,
    /// An operation that times out, and how often.
    pub(crate) gone: Mutex<Option<(&'static str, usize)>>,
    /// Operations that hang until they are removed here.
    pub(crate) hanging: Mutex<HashSet<&'static str>>,
    tasks: PathBuf,
}

impl World {
    pub(crate) fn new(behaviour: HostBehaviour, seed: u64, tasks: &Path) -> Arc<Self> {
        Arc::new(Self {
            behaviour,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            machines: Mutex::default(),
            resets: Mutex::default(),
            restarts: Mutex::default(),
            outbox: Mutex::default(),
            calls: Mutex::default(),
            trap: Mutex::default(),
            is_locked: AtomicBool::default(),
            gone: Mutex::default(),
            hanging: Mutex::default(),
            tasks: tasks.to_owned(),
        })
    }

    /// Lets these operations hang.
    pub(crate) fn hang(&self, operations: &[&'static str]) {
        self.hanging.lock().unwrap().extend(operations);
    }

    pub(crate) fn iso(&self, job: JobId) -> PathBuf {
        self.tasks.join(format!("{job}.iso"))
    }

    pub(crate) fn chance(&self, percent: u32) -> bool {
        self.rng.lock().unwrap().u32(0..100) < percent
    }

    pub(crate) fn draw_below(&self, limit: usize) -> usize {
        self.rng.lock().unwrap().usize(0..limit)
    }

    /// Runs an operation with the simulated faults.
    fn with_faults<'a>(
        &'a self,
        name: &'static str,
        step: Step,
        effect: impl FnOnce(&Self) + Send + 'a,
    ) -> StepFuture<'a> {
        Box::pin(async move {
            let trapped = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(name);
                let mut trap = self.trap.lock().unwrap();
                trap.take_if(|(at, _)| *at == calls.len())
            };
            let bad = self.behaviour == HostBehaviour::Bad;
            let failure = |retry| Failure {
                step: step.clone(),
                message: "the BMC is as it is".to_owned(),
                retry,
            };
            let gone = self.gone.lock().unwrap().as_mut().is_some_and(|(call, left)| {
                let gone = *call == name && *left > 0;
                *left -= usize::from(gone);
                gone
            });
            if self.is_locked.load(Ordering::Relaxed) {
                return Err(Failure { step: Step::RedfishDiscover, ..failure(Retry::Denied) });
            }
            if gone || bad && self.chance(15) {
                return Err(failure(Retry::Later));
            }
            if bad && self.chance(2) {
                return Err(failure(Retry::Never));
            }
            let before = self.chance(50);
            if let Some((_, sender)) = trapped {
                // Killed before or after the effect; the client cannot distinguish them.
                if before {
                    effect(self);
                }
                sender.send(()).ok();
                return std::future::pending().await;
            }
            while self.hanging.lock().unwrap().contains(name) {
                tokio::task::yield_now().await;
            }
            effect(self);
            if bad && self.chance(10) {
                return Err(failure(Retry::Unsure));
            }
            Ok(())
        })
    }

    /// The effect of an operation on the host.
    fn apply(&self, operation: Operation<'_>, serial: &str) {
        match operation {
            Operation::Mount(media) => {
                // …/media/tasks/EXPIRES/TOKEN/JOB/task.iso
                let job = media.task.expose().rsplit('/').nth(1).unwrap().parse().unwrap();
                let mut machines = self.machines.lock().unwrap();
                machines.entry(serial.to_owned()).or_default().media = Some(job);
            }
            Operation::BootOnce => {
                self.machines.lock().unwrap().get_mut(serial).unwrap().boot_once = true;
            }
            Operation::Reset(attempt) => {
                let job = self.machines.lock().unwrap()[serial].media.unwrap();
                if attempt == ResetAttempt::Again {
                    let done = self.resets.lock().unwrap().contains_key(&job);
                    let reports = self.behaviour != HostBehaviour::Bad || self.chance(70);
                    if done || !reports {
                        return;
                    }
                }
                *self.resets.lock().unwrap().entry(job).or_default() += 1;
                self.start(serial);
            }
            Operation::PowerOff => {}
            Operation::Unmount => {
                if let Some(machine) = self.machines.lock().unwrap().get_mut(serial) {
                    machine.media = None;
                    machine.boot_once = false;
                }
            }
            Operation::Restart(attempt) => {
                // If the host's last job is unknown, it was restarted already.
                let booted = self.machines.lock().unwrap().get(serial).and_then(|it| it.booted);
                let Some(job) = booted else { return };
                if attempt == ResetAttempt::Again
                    && self.restarts.lock().unwrap().contains_key(&job)
                {
                    return;
                }
                *self.restarts.lock().unwrap().entry(job).or_default() += 1;
                self.start(serial);
            }
        }
    }

    fn start(&self, serial: &str) {
        let mut machines = self.machines.lock().unwrap();
        let machine = machines.get_mut(serial).unwrap();
        if std::mem::take(&mut machine.boot_once) {
            machine.booted = machine.media;
            if let Some(job) = machine.media
                && self.behaviour != HostBehaviour::Silent
            {
                self.outbox.lock().unwrap().push((serial.to_owned(), job));
            }
        }
    }
}

impl Bmc for World {
    fn profiles(&self) -> Vec<&'static str> {
        vec!["generic"]
    }

    /// A cycle never ends, and a reset is refused with the password in the message.
    fn operate<'a>(&'a self, target: &'a Target, kind: Kind) -> OperationFuture<'a> {
        Box::pin(async move {
            match kind {
                Kind::PowerCycle => std::future::pending().await,
                Kind::PowerReset => Err(format!("refused: {}", target.password.expose())),
                Kind::Inspect | Kind::PowerOn | Kind::PowerOff | Kind::FirmwareUpdate => {
                    Ok(OperationResult { message: format!("done: {kind}"), inventory: None })
                }
            }
        })
    }

    fn start_update<'a>(&'a self, _: &'a Target, _: &'a Secret) -> Started<'a> {
        Box::pin(async { Ok(None) })
    }

    fn follow_update<'a>(&'a self, _: &'a Target, _: &'a str) -> OperationFuture<'a> {
        Box::pin(async { Ok(OperationResult::default()) })
    }

    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> StepFuture<'a> {
        let (name, step) = match operation {
            Operation::Mount(_) => ("mount", Step::RedfishMountTask),
            Operation::BootOnce => ("boot_once", operation.step()),
            Operation::Reset(_) => ("reset", operation.step()),
            Operation::PowerOff => ("power_off", operation.step()),
            Operation::Unmount => ("unmount", operation.step()),
            Operation::Restart(_) => ("restart", operation.step()),
        };
        let stays_on = matches!(operation, Operation::PowerOff | Operation::Unmount);
        if self.behaviour == HostBehaviour::Talkative && (name == "mount" || stays_on) {
            return speak(target, step, events);
        }
        if let Operation::Mount(media) = operation {
            // The signature in the URL is a secret; the rest helps to debug failures.
            let address = media.task.expose();
            let (origin, _) = address.split_once("/media/tasks/").expect("the address of a task");
            assert!(origin.starts_with("http://127.0.0.1:"));
            events.record(&Step::RedfishMountTask, format!("inserted from {origin}"));
        }
        self.with_faults(name, step, move |world| world.apply(operation, &target.serial))
    }
}

/// Fails, and repeats the secrets of a request in every message.
fn speak<'a>(target: &Target, step: Step, events: &dyn EventSink) -> StepFuture<'a> {
    let url = format!("http://192.0.2.1/media/tasks/1764400000/{TOKEN}/7d3c/task.iso");
    let message = format!("can't read {url} ({TOKEN}) with {}: sorry", target.password.expose());
    events.record(&step, message.clone());
    let message = format!("{message}{}", "!".repeat(4 << 20));
    Box::pin(async move { Err(Failure { step, message, retry: Retry::Never }) })
}

impl Publisher for World {
    fn put(&self, job: JobId, image: &[u8]) -> Result<(), PublishError> {
        std::fs::write(self.iso(job), image).map_err(|e| PublishError(e.to_string()))
    }

    fn remove(&self, job: JobId) -> Result<(), PublishError> {
        // The ISO may not exist.
        std::fs::remove_file(self.iso(job)).ok();
        Ok(())
    }

    fn media(&self, job: JobId, _: Duration) -> Result<Media, PublishError> {
        let url = |name: &str| Secret::new(format!("http://127.0.0.1:1/{name}"));
        Ok(Media {
            maintenance: url("maintenance.iso"),
            task: url(&format!("media/tasks/17/token/{job}/task.iso")),
            combined: url("both.iso"),
        })
    }

    fn firmware(&self, name: &str, _: Duration) -> Result<Secret, PublishError> {
        Ok(Secret::new(format!("http://controller.example/{name}")))
    }

    fn access(&self, _: JobId, _: &str) -> Result<Option<ControllerAccess>, PublishError> {
        Ok(None)
    }
}

/// Settings with short times.
pub(crate) fn quick_settings() -> Settings {
    Settings {
        lease: Duration::from_millis(300),
        retry_pause: Duration::from_millis(1),
        ..Settings::default()
    }
}

/// Returns hosts with this behaviour, their folder, a controller, and a job of host `S1`.
pub(crate) async fn begin(behaviour: HostBehaviour) -> (TempDir, Arc<World>, Controller, Job) {
    begun_with(behaviour, quick_settings(), |_| {}).await
}

/// Same, with other settings, and hosts changed by `prepare`.
pub(crate) async fn begun_with(
    behaviour: HostBehaviour,
    settings: Settings,
    prepare: impl FnOnce(&World),
) -> (TempDir, Arc<World>, Controller, Job) {
    let folder = TempDir::new().unwrap();
    let world = World::new(behaviour, 0, folder.path());
    prepare(&world);
    let controller = Controller::start(&folder, &world, settings);
    controller.add_server("S1").await;
    let job = controller.create("S1").await.unwrap();
    (folder, world, controller, job)
}

/// Adds a server.
pub(crate) async fn put_server(database: &Database, serial: &str, bmc_url: &str, password: &str) {
    let target = Target {
        serial: serial.to_owned(),
        bmc_url: bmc_url.to_owned(),
        username: "admin".to_owned(),
        password: Secret::new(password),
        profile: None,
        tls: TlsPolicy::System,
    };
    let put =
        move |c: &_| inventory::put(c, &Keyring::default(), &target, &Labels::default(), "ops");
    database.write(put).await.unwrap();
}

/// A controller without its API.
pub(crate) struct Controller {
    pub(crate) database: Database,
    pub(crate) runner: Arc<Runner>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Controller {
    pub(crate) fn start(folder: &TempDir, world: &Arc<World>, settings: Settings) -> Self {
        Self::with_bmc(folder, world, Arc::clone(world), settings)
    }

    /// Same, with the BMC operations of `bmc`.
    pub(crate) fn with_bmc(
        folder: &TempDir,
        world: &Arc<World>,
        bmc: Arc<impl Bmc>,
        settings: Settings,
    ) -> Self {
        let database = Database::open(&folder.path().join("controller.db")).unwrap();
        let runner = Runner::new(database.clone(), bmc, Arc::clone(world) as _, settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(
            Arc::clone(&runner).run(async { drop(stopped.await) }, Duration::from_secs(5)),
        );
        Self { database, runner, stop, running }
    }

    /// Stops it like SIGTERM.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap();
    }

    /// Kills it: leases are not released, operations do not finish.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.is_err());
    }

    pub(crate) async fn add_server(&self, serial: &str) {
        self.add_server_at(serial, "https://bmc.example", PASSWORD).await;
    }

    pub(crate) async fn add_server_at(&self, serial: &str, bmc_url: &str, password: &str) {
        put_server(&self.database, serial, bmc_url, password).await;
    }

    pub(crate) async fn create(&self, serial: &str) -> Result<Job, StoreError> {
        let new = new_job(serial);
        let created = self.database.write(move |c| store::create(c, &new)).await?;
        self.runner.wake();
        Ok(created.job)
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.database.read(move |c| store::by_id(c, id)).await.unwrap()
    }

    pub(crate) async fn events(&self, id: JobId) -> Vec<Event> {
        let events = move |c: &_| Ok::<_, StoreError>(store::with_events(c, id)?.1);
        self.database.read(events).await.unwrap()
    }

    pub(crate) async fn report(&self, serial: &str, report: Report) -> ReportReceipt {
        let serial = serial.to_owned();
        let taken = self.database.write(move |c| store::report(c, &serial, &report));
        let taken = taken.await.unwrap();
        if let ReportReceipt::Recorded(id) = taken {
            self.runner.notify(self.job(id).await.number);
        }
        taken
    }

    /// Waits until a job meets `done`; times out if the job is stuck.
    pub(crate) async fn wait_until(&self, id: JobId, done: impl Fn(&Job) -> bool) -> Job {
        let wait = async {
            loop {
                let job = self.job(id).await;
                if done(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if let Ok(job) = tokio::time::timeout(Duration::from_mins(1), wait).await {
            return job;
        }
        panic!("stuck: {:#?} {:#?}", self.job(id).await, self.events(id).await);
    }

    /// Delivers reports until a job is complete.
    pub(crate) async fn until_complete(&self, world: &World, id: JobId) -> Job {
        let deliver = async {
            loop {
                // Removed only after the acknowledgement: this loop may be cancelled anywhere.
                let first = world.outbox.lock().unwrap().first().cloned();
                if let Some((serial, job)) = first {
                    self.report(&serial, success(job)).await;
                    world.outbox.lock().unwrap().retain(|waiting| waiting.1 != job);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = deliver => unreachable!("it never ends"),
            job = self.wait_until(id, |job| job.state == State::Complete) => job,
        }
    }
}

pub(crate) fn new_job(serial: &str) -> NewJob {
    let validated = recipe::validate(RECIPE.as_bytes()).unwrap();
    NewJob {
        warnings: Vec::new(),
        serial: serial.to_owned(),
        recipe: RECIPE.into(),
        recipe_sha256: validated.source.sha256,
        schema_id: validated.schema.id.to_owned(),
        task_target: validated.recipe.task_target.to_string(),
        retry_of: None,
        user: "ops".to_owned(),
        idempotency: None,
    }
}

pub(crate) fn success(job: JobId) -> Report {
    Report {
        failed: None,
        delivery_id: Some(format!("of-{job}")),
        job_id: job,
        details: String::new(),
        log: None,
    }
}

/// Kinds and steps of events.
pub(crate) fn kinds(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| match &event.step {
        Some(step) => format!("{} {step}", event.kind),
        None => event.kind.clone(),
    };
    events.iter().map(line).collect()
}
