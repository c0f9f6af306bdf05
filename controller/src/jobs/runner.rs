// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Claims jobs by leases and runs a worker for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::Instrument as _;

use super::bmc::Bmc;
use super::clock::millis;
use super::redacting::RedactingBmc;
pub use super::settings::{AfterFailure, Settings};
use super::store::{self, Job, LeasedJob, StoreError};
use super::task::Publisher;
use super::worker::{Services, Worker};
use crate::blocking::IMAGES;
use crate::database::Database;

/// Interval of retention runs.
const RETENTION_PERIOD: Duration = Duration::from_mins(1);

/// Job runner of this process.
pub struct Runner {
    services: Arc<Services>,
    owner: String,
    wake: Notify,
    running: Mutex<HashMap<i64, Running>>,
}

struct Running {
    worker: AbortHandle,
    changed: Arc<Notify>,
}

impl Runner {
    /// Creates the runner of this process.
    pub fn new(
        database: Database,
        bmc: Arc<dyn Bmc>,
        publisher: Arc<dyn Publisher>,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            services: Arc::new(Services {
                database,
                bmc: Arc::new(RedactingBmc(bmc)),
                publisher,
                settings,
            }),
            // Unique across restarts, unlike a process id.
            owner: uuid::Uuid::new_v4().to_string(),
            wake: Notify::new(),
            running: Mutex::default(),
        })
    }

    /// Returns the names of the vendor profiles.
    pub fn profiles(&self) -> Vec<&'static str> {
        self.services.bmc.profiles()
    }

    /// Returns the BMC operations; their messages have no secrets.
    pub(crate) fn bmc(&self) -> Arc<dyn Bmc> {
        Arc::clone(&self.services.bmc)
    }

    /// Returns the publisher of images.
    pub(crate) fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::clone(&self.services.publisher)
    }

    /// Notifies the runner of a possible new job.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Notifies the worker that its job was cancelled or has an outcome.
    pub fn notify(&self, number: i64) {
        if let Some(job) = self.lock().get(&number) {
            job.changed.notify_one();
        }
    }

    /// Returns the number of jobs with a worker.
    pub fn active_jobs(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until `stop` is done. Then waits for BMC operations for at most `grace`, and releases
    /// all leases.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>, grace: Duration) {
        let (stopping, stop_receiver) = watch::channel(false);
        let mut workers = JoinSet::new();
        // Three renewals per lease.
        let mut heart = tokio::time::interval(self.services.settings.lease / 3);
        heart.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let retention = tokio::spawn(Arc::clone(&self).retain());
        let mut stop = std::pin::pin!(stop);
        loop {
            self.take(&mut workers, &stop_receiver).await;
            tokio::select! {
                () = &mut stop => break,
                () = self.wake.notified() => {}
                _ = heart.tick() => self.renew().await,
                Some(ended) = workers.join_next(), if !workers.is_empty() => self.remove_ended(&ended),
            }
        }
        retention.abort();
        // Without receivers, there are no workers.
        stopping.send(true).ok();
        let drained = async {
            while !workers.is_empty() {
                tokio::select! {
                    _ = heart.tick() => self.renew().await,
                    Some(ended) = workers.join_next() => self.remove_ended(&ended),
                }
            }
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!(jobs = self.active_jobs(), "BMC operations aborted");
        }
        workers.shutdown().await;
        let (owner, lease) = (self.owner.clone(), millis(self.services.settings.lease));
        let released =
            self.services.database.write(move |c| store::release_all(c, &owner, lease)).await;
        if let Err(error) = released {
            tracing::warn!(%error, "cannot release leases, they will expire");
        }
    }

    /// Claims jobs and starts a worker for each.
    async fn take(self: &Arc<Self>, workers: &mut JoinSet<i64>, stopping: &watch::Receiver<bool>) {
        let room = self.services.settings.at_once.saturating_sub(self.active_jobs());
        if room == 0 {
            return;
        }
        let (owner, lease) = (self.owner.clone(), millis(self.services.settings.lease));
        let jobs =
            match self.services.database.write(move |c| store::claim(c, &owner, lease, room)).await
            {
                Ok(jobs) => jobs,
                Err(error) => {
                    // Retried with the next lease renewal.
                    tracing::warn!(%error, "cannot claim jobs");
                    return;
                }
            };
        for Job { number, id, serial, .. } in jobs {
            let span = tracing::info_span!("job", job = %id, serial);
            let changed = Arc::new(Notify::new());
            let held = LeasedJob { number, owner: self.owner.clone() };
            let worker = Worker {
                services: Arc::clone(&self.services),
                held,
                changed: Arc::clone(&changed),
                stopping: stopping.clone(),
            };
            let work = async move {
                worker.work().await;
                number
            };
            let worker = workers.spawn(work.instrument(span));
            if let Some(before) = self.lock().insert(number, Running { worker, changed }) {
                // The old worker's lease has expired.
                before.worker.abort();
            }
        }
    }

    fn remove_ended(&self, ended: &Result<i64, tokio::task::JoinError>) {
        match ended {
            Ok(number) => drop(self.lock().remove(number)),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a worker panicked; its job will be claimed again");
                }
                self.lock().retain(|_, job| !job.worker.is_finished());
            }
        }
    }

    /// Renews the leases and stops workers that lost theirs.
    async fn renew(&self) {
        let (owner, lease) = (self.owner.clone(), millis(self.services.settings.lease));
        let renewed = self.services.database.write(move |c| store::renew(c, &owner, lease)).await;
        let held = match renewed {
            Ok(held) => held.into_iter().collect::<HashMap<i64, bool>>(),
            Err(error) => {
                tracing::warn!(%error, "cannot renew leases");
                return;
            }
        };
        for (number, job) in self.lock().iter() {
            match held.get(number) {
                Some(false) => {}
                // A lost job is complete or another's; the worker finds out which.
                Some(true) | None => job.changed.notify_one(),
            }
        }
        self.release_orphans(&held).await;
    }

    /// Releases leases whose worker panicked.
    async fn release_orphans(&self, held: &HashMap<i64, bool>) {
        let orphans: Vec<i64> = {
            let running = self.lock();
            held.keys().copied().filter(|number| !running.contains_key(number)).collect()
        };
        let owner = self.owner.clone();
        for number in orphans {
            let held = LeasedJob { number, owner: owner.clone() };
            let release = self.services.database.write(move |c| store::release(c, &held)).await;
            if let Err(error) = release {
                tracing::warn!(%error, "cannot release the lease of a panicked worker");
            }
        }
    }

    /// Runs retention periodically.
    async fn retain(self: Arc<Self>) {
        let mut period = tokio::time::interval(RETENTION_PERIOD);
        loop {
            period.tick().await;
            if let Err(error) = self.remove_old().await {
                tracing::warn!(%error, "cannot remove old jobs and task ISOs");
            }
        }
    }

    async fn remove_old(&self) -> Result<(), StoreError> {
        let keep = self.services.settings.keep_isos;
        let expired = self.services.database.read(move |c| store::expired_isos(c, keep)).await?;
        for id in expired {
            let publisher = Arc::clone(&self.services.publisher);
            let removed = IMAGES.run(move || publisher.remove(id)).await;
            match removed {
                Ok(Ok(())) => {
                    self.services.database.write(move |c| store::mark_iso_removed(c, id)).await?;
                }
                Ok(Err(error)) => tracing::warn!(%error, job = %id, "cannot remove a task ISO"),
                Err(error) => tracing::error!(%error, job = %id, "cannot remove a task ISO"),
            }
        }
        let keep = self.services.settings.keep_jobs;
        let deleted = self.services.database.write(move |c| store::delete_expired(c, keep)).await?;
        if deleted > 0 {
            tracing::info!(jobs = deleted, "deleted old jobs");
        }
        Ok(())
    }
}
