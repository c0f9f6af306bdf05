// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Worker of one job: reads its state, executes the next step, stores the result.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::bmc::{Bmc, EventSink, Failure, Operation, ResetAttempt, Retry, Target};
use super::model::{Outcome, Phase, Reset, State, Step};
use super::settings::{AfterFailure, Settings};
use super::store::{self, Job, LeasedJob, StoreError};
use super::task::{self, Order, Publisher};
use crate::blocking::IMAGES;
use crate::database::Database;
use crate::inventory::{self, Server};
use crate::labels::Scope;

/// Maximum pause between two attempts to access the database.
const DATABASE_PAUSE: Duration = Duration::from_secs(5);
/// How much longer than the budgets media URLs are valid: a host may still read from them while it
/// is reset.
const MEDIA_RESERVE: Duration = Duration::from_hours(1);

/// Services shared by all workers.
pub(super) struct Services {
    pub(super) database: Database,
    pub(super) bmc: Arc<dyn Bmc>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) settings: Settings,
}

/// Worker of one job.
pub(super) struct Worker {
    pub(super) services: Arc<Services>,
    pub(super) held: LeasedJob,
    /// Signals that the job was cancelled, has an outcome, or may be lost.
    pub(super) changed: Arc<Notify>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Why a step was interrupted.
enum Interruption {
    /// The step failed permanently.
    Failed(Failure),
    /// The job has changed: read it again.
    Changed,
    /// Another worker has the job, or it was deleted.
    Lost,
    /// The controller is shutting down.
    Stopping,
}

impl Worker {
    /// Works on the job until it is complete, lost, or the controller shuts down.
    pub(super) async fn work(self) {
        loop {
            if *self.stopping.borrow() {
                return;
            }
            let result = match self.job().await {
                Ok(job) => self.next(&job).await,
                Err(halt) => Err(halt),
            };
            let result = match result {
                Err(Interruption::Failed(failure)) => {
                    tracing::warn!(step = %failure.step, error = failure.message, "step failed");
                    self.persist(move |c, held| store::fail(c, held, &failure))
                        .await
                        .map(|()| false)
                }
                result => result,
            };
            match result {
                Ok(false) | Err(Interruption::Changed) => {}
                // Storing a failure does not return one.
                Ok(true)
                | Err(Interruption::Failed(_) | Interruption::Lost | Interruption::Stopping) => {
                    return;
                }
            }
        }
    }

    /// Executes the next step. Returns whether it was the last.
    async fn next(&self, job: &Job) -> Result<bool, Interruption> {
        match job.state {
            State::Queued => {
                tracing::info!("job started");
                self.persist(store::begin).await?;
            }
            State::Provisioning => tokio::select! {
                // An outcome or a cancellation has priority over the result of a step.
                biased;
                halt = self.interruption(job) => return Err(halt),
                done = self.provision(job) => done?,
            },
            State::Succeeded | State::Failed => self.clean_up(job).await?,
            State::Complete => return Ok(true),
        }
        Ok(false)
    }

    /// Waits until the job is cancelled, has an outcome, or is lost.
    async fn interruption(&self, begun: &Job) -> Interruption {
        loop {
            let job = match self.job().await {
                Ok(job) => job,
                Err(halt) => return halt,
            };
            if job.state != begun.state {
                return Interruption::Changed;
            }
            if job.cancelled {
                let step = job.step.unwrap_or(Step::IsoBuild);
                let message = "cancelled".to_owned();
                return Interruption::Failed(Failure { step, message, retry: Retry::Never });
            }
            self.changed.notified().await;
        }
    }

    async fn provision(&self, job: &Job) -> Result<(), Interruption> {
        let deadline = self.deadline(job);
        match job.phase {
            Phase::Boot => {
                let boot = self.boot(job, deadline);
                boot.await?;
                self.persist(|c, held| store::enter_phase(c, held, Phase::Webhook)).await
            }
            Phase::Webhook | Phase::Cleanup => {
                if job.step != Some(Step::WebhookWait) {
                    self.begin_step(Step::WebhookWait).await?;
                }
                self.pause_until(deadline).await?;
                Err(Interruption::Failed(self.over_budget(job, Step::WebhookWait, None)))
            }
        }
    }

    /// Boots the maintenance OS. Requests the reset only once.
    async fn boot(&self, job: &Job, deadline: Instant) -> Result<(), Interruption> {
        let target = self.target(job, Step::ValidationServer).await?;
        let mut attempt = ResetAttempt::Again;
        if job.boot_reset == Reset::None {
            attempt = ResetAttempt::First;
            let media = self.media(job).await?;
            self.persist(store::start_mount).await?;
            self.call(job, deadline, &target, Operation::Mount(&media)).await?;
            self.begin_step(Step::RedfishBootOverride).await?;
            self.call(job, deadline, &target, Operation::BootOnce).await?;
            self.persist(|c, held| store::begin_reset(c, held, Phase::Boot)).await?;
        }
        if job.boot_reset != Reset::Done {
            self.call(job, deadline, &target, Operation::Reset(attempt)).await?;
            self.persist(|c, held| store::finish_reset(c, held, Phase::Boot)).await?;
        }
        Ok(())
    }

    /// Builds the task ISO. Returns the media URLs.
    async fn media(&self, job: &Job) -> Result<super::bmc::Media, Interruption> {
        self.begin_step(Step::IsoBuild).await?;
        let number = job.number;
        let recipe = self.look_up(move |c| store::recipe(c, number)).await?;
        let (publisher, id) = (Arc::clone(&self.services.publisher), job.id);
        let access = publisher.access(id, &job.serial).map_err(|e| e.to_string());
        let access = run_blocking(Step::IsoBuild, move || access).await?;
        let order = Order {
            access,
            network: self.server(job, Step::IsoBuild).await?.network,
            job: job.id,
            serial: job.serial.clone(),
            recipe,
            schema_id: job.schema_id.clone(),
            epoch: u64::try_from(job.created_at / 1000).unwrap_or(0),
            validity: self.services.settings.task_validity.as_secs(),
        };
        let key = self.services.settings.signing_key.clone();
        let build = move || task::build(&order, key.as_deref()).map_err(|e| e.to_string());
        let image = run_blocking(Step::IsoBuild, build).await?;
        self.begin_step(Step::IsoServe).await?;
        let settings = &self.services.settings;
        let budgets = [Phase::Boot, Phase::Webhook, Phase::Cleanup];
        let budget = |phase| settings.budget(phase, &job.task_target);
        let valid = budgets.into_iter().map(budget).sum::<Duration>() + MEDIA_RESERVE;
        let publish = move || publisher.put(id, &image).and_then(|()| publisher.media(id, valid));
        run_blocking(Step::IsoServe, move || publish().map_err(|e| e.to_string())).await
    }

    /// Ejects the media, restarts the host from its disk, and completes the job. Failures are
    /// stored, but do not change the outcome or keep the job open.
    async fn clean_up(&self, job: &Job) -> Result<(), Interruption> {
        if job.mounted {
            match self.undo(job).await {
                Err(Interruption::Failed(failure)) => {
                    tracing::warn!(step = %failure.step, error = failure.message, "clean-up failed");
                    self.persist(move |c, held| store::fail(c, held, &failure)).await?;
                }
                result => result?,
            }
        }
        self.persist(store::complete).await?;
        tracing::info!(outcome = job.outcome.map(Outcome::as_str), "complete");
        Ok(())
    }

    async fn undo(&self, job: &Job) -> Result<(), Interruption> {
        let deadline = self.deadline(job);
        let settings = &self.services.settings;
        let has_reported_failure = matches!(job.failed_step, Some(Step::Workflow(_)));
        if has_reported_failure && settings.after_failure == AfterFailure::Leave {
            return Ok(());
        }
        let restarts = settings.restart && job.outcome == Some(Outcome::Succeeded);
        let target = self.target(job, Step::CleanupUnmount).await?;
        // The host's root is on the media, so it is shut down before they are ejected. Exceptions:
        // a silent host may be writing firmware, and during ejection the host may have been started
        // again.
        let is_past = matches!(job.step, Some(Step::CleanupUnmount | Step::CleanupReset));
        let mut failure = None;
        if (restarts || has_reported_failure) && !is_past {
            self.begin_step(Step::CleanupPowerOff).await?;
            // The remaining budget is for the media.
            let now = Instant::now();
            let deadline = now + deadline.saturating_duration_since(now) / 2;
            match self.call(job, deadline, &target, Operation::PowerOff).await {
                Err(Interruption::Failed(error)) if error.retry != Retry::Denied => {
                    failure = Some(error);
                }
                result => result?,
            }
        }
        self.begin_step(Step::CleanupUnmount).await?;
        // With media inserted, the host could boot from them again.
        self.call(job, deadline, &target, Operation::Unmount).await?;
        if restarts && job.cleanup_reset != Reset::Done {
            let attempt = if job.cleanup_reset == Reset::None {
                self.persist(|c, held| store::begin_reset(c, held, Phase::Cleanup)).await?;
                ResetAttempt::First
            } else {
                ResetAttempt::Again
            };
            self.call(job, deadline, &target, Operation::Restart(attempt)).await?;
            self.persist(|c, held| store::finish_reset(c, held, Phase::Cleanup)).await?;
        }
        failure.map_or(Ok(()), |failure| Err(Interruption::Failed(failure)))
    }

    async fn server(&self, job: &Job, step: Step) -> Result<Server, Interruption> {
        let serial = job.serial.clone();
        let found = self.look_up(move |c| Ok(inventory::find(c, &Scope::ALL, &serial)?)).await?;
        let message = "the server is no longer registered";
        found.ok_or_else(|| final_failure(step, message.to_owned()))
    }

    async fn target(&self, job: &Job, step: Step) -> Result<Target, Interruption> {
        let server = self.server(job, step.clone()).await?;
        let target = server.target(&self.services.database.keys());
        target.map_err(|error| {
            final_failure(step, format!("cannot decrypt the BMC password: {error}"))
        })
    }

    /// Retries a BMC operation until it succeeds, fails permanently, or the budget is spent.
    async fn call(
        &self,
        job: &Job,
        deadline: Instant,
        target: &Target,
        mut operation: Operation<'_>,
    ) -> Result<(), Interruption> {
        let (step, events) = (operation.step(), self.events());
        let shortest = self.services.settings.retry_pause;
        let mut pause = shortest;
        let mut last: Option<Failure> = None;
        loop {
            let call = self.services.bmc.call(operation, target, &events);
            let Ok(result) = timeout_at(deadline, call).await else {
                return Err(Interruption::Failed(self.over_budget(job, step, last)));
            };
            let failure = match result {
                Ok(()) => return Ok(()),
                Err(failure) if matches!(failure.retry, Retry::Never | Retry::Denied) => {
                    return Err(Interruption::Failed(failure));
                }
                Err(failure) => failure,
            };
            if failure.retry == Retry::Unsure {
                operation = operation.repeat();
            }
            tracing::info!(step = %failure.step, error = failure.message, "retrying");
            let last_failure = failure.clone();
            self.persist(move |c, held| store::note_retry(c, held, &last_failure)).await?;
            if Instant::now() + pause >= deadline {
                return Err(Interruption::Failed(self.over_budget(job, step, Some(failure))));
            }
            self.pause_until(Instant::now() + pause).await?;
            pause = (pause * 2).min(shortest * 60);
            last = Some(failure);
        }
    }

    fn over_budget(&self, job: &Job, step: Step, last: Option<Failure>) -> Failure {
        let budget = self.services.settings.budget(job.phase, &job.task_target);
        let budget = humantime::format_duration(budget);
        let message = match &last {
            None => format!("timed out after {budget}"),
            Some(last) => format!("timed out after {budget}; last error: {}", last.message),
        };
        let step = last.map_or(step, |last| last.step);
        Failure { step, message, retry: Retry::Never }
    }

    /// Returns when the budget of the job's phase will be spent.
    fn deadline(&self, job: &Job) -> Instant {
        let budget = self.services.settings.budget(job.phase, &job.task_target);
        let spent = Duration::from_millis(u64::try_from(job.spent_ms).unwrap_or(0));
        Instant::now() + budget.saturating_sub(spent)
    }

    async fn pause_until(&self, until: Instant) -> Result<(), Interruption> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep_until(until) => Ok(()),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Interruption::Stopping),
        }
    }

    async fn begin_step(&self, step: Step) -> Result<(), Interruption> {
        tracing::info!(%step, "step started");
        self.persist(move |c, held| store::start_step(c, held, &step)).await
    }

    async fn job(&self) -> Result<Job, Interruption> {
        let held = self.held.clone();
        let job = self.look_up(move |c| {
            let job = store::by_number(c, held.number)?;
            let mine = store::is_held(c, &held)? || job.state == State::Complete;
            if mine { Ok(job) } else { Err(StoreError::Lost) }
        });
        match job.await {
            Err(Interruption::Changed) => Err(Interruption::Lost),
            result => result,
        }
    }

    /// Writes to the database; retries until that succeeds.
    async fn persist(
        &self,
        work: impl Fn(&Connection, &LeasedJob) -> Result<(), StoreError> + Clone + Send + 'static,
    ) -> Result<(), Interruption> {
        self.retry_database(|| {
            let (work, held) = (work.clone(), self.held.clone());
            self.services.database.write(move |c| work(c, &held))
        })
        .await
    }

    /// Reads from the database; retries until that succeeds.
    async fn look_up<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, Interruption> {
        self.retry_database(|| self.services.database.read(work.clone())).await
    }

    async fn retry_database<T, F>(&self, work: impl Fn() -> F) -> Result<T, Interruption>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            match work().await {
                Ok(value) => return Ok(value),
                Err(StoreError::Database(error)) => {
                    tracing::warn!(%error, "database unavailable, retrying");
                    self.pause_until(Instant::now() + pause).await?;
                    pause = (pause * 2).min(DATABASE_PAUSE);
                }
                Err(StoreError::NoJob) => return Err(Interruption::Lost),
                Err(_) => return Err(Interruption::Changed),
            }
        }
    }

    fn events(&self) -> JobEvents {
        JobEvents { services: Arc::clone(&self.services), held: self.held.clone() }
    }
}

/// Makes a permanent failure.
fn final_failure(step: Step, message: String) -> Interruption {
    Interruption::Failed(Failure { step, message, retry: Retry::Never })
}

/// Runs blocking work of a step.
async fn run_blocking<T: Send + 'static>(
    step: Step,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Interruption> {
    let done = IMAGES.run(work).await.unwrap_or_else(|e| Err(e.to_string()));
    done.map_err(|message| final_failure(step, message))
}

/// Stores BMC messages as events of the job.
struct JobEvents {
    services: Arc<Services>,
    held: LeasedJob,
}

impl EventSink for JobEvents {
    fn record(&self, step: &Step, message: String) {
        tracing::info!(%step, message, "BMC");
        let (held, step) = (self.held.clone(), step.clone());
        self.services
            .database
            .write_in_turn(move |c| store::note(c, &held, "note", &step, &message));
    }
}
