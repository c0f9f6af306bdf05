// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! BMC operations by Redfish.
//!
//! Every operation has a session of its own: a job waits for its host for hours, and BMCs have few
//! sessions.

use std::time::{Duration, Instant};

use redfish::profile::{self, Profile};
use redfish::{
    Credentials, Endpoint, Error, Kind as SlotKind, Restart, Shutdown, Slot, Snapshot, TaskEnd,
    Timing,
};

use super::bmc::{
    self, EventSink, Failure, Media, Operation, OperationFuture, ResetAttempt, Retry, Secret,
    Started, StepFuture, Target,
};
use super::model::Step;
use crate::operations::request::{Kind, OperationResult};

/// Slots that a job uses unless they refuse its images.
const USUAL_SLOTS: usize = 2;

/// Time limit of a firmware update.
const UPDATE_LIMIT: Duration = Duration::from_hours(2);

/// BMCs with Redfish.
#[derive(Debug, Clone, Default)]
pub struct Redfish {
    timing: Timing,
}

impl Redfish {
    /// Uses other time limits than the default.
    pub fn new(timing: Timing) -> Self {
        Self { timing }
    }

    async fn connect(&self, target: &Target, step: &Step) -> Result<redfish::Bmc, Failure> {
        let never = |message| Failure { step: step.clone(), message, retry: Retry::Never };
        let profile = profile(target).map_err(never)?;
        let endpoint = endpoint(target).map_err(|error| never(error.to_string()))?;
        redfish::Bmc::connect(&endpoint, &target.serial, profile, self.timing.clone())
            .await
            .map_err(map_failure(step, Retry::Later))
    }

    /// Connects without looking for virtual media.
    async fn connect_system(&self, target: &Target) -> Result<redfish::Bmc, Error> {
        let (endpoint, timing) = (endpoint(target)?, self.timing.clone());
        let profile = profile(target).map_err(Error::Missing)?;
        redfish::Bmc::connect_system(&endpoint, &target.serial, profile, timing).await
    }

    async fn start_update(&self, target: &Target, image: &Secret) -> Result<Option<String>, Error> {
        let bmc = self.connect_system(target).await?;
        let monitor = bmc.start_update(image.expose()).await;
        bmc.close().await;
        monitor
    }

    async fn follow_update(
        &self,
        target: &Target,
        monitor: &str,
    ) -> Result<OperationResult, Error> {
        // The BMC may be restarting.
        let deadline = Instant::now() + UPDATE_LIMIT;
        let bmc = loop {
            match self.connect_system(target).await {
                Ok(bmc) => break bmc,
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tracing::debug!(%error, "waiting for the BMC");
                    tokio::time::sleep(self.timing.poll).await;
                }
                Err(error) => return Err(error),
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let end = bmc.follow_update(monitor, left).await;
        bmc.close().await;
        let message = match end? {
            TaskEnd::Completed => {
                "the update is installed, or waits for the next restart of the host"
            }
            TaskEnd::Unknown => "the BMC no longer knows the task; fix: inspect the server",
        };
        Ok(OperationResult { message: message.to_owned(), inventory: None })
    }

    async fn operate(&self, target: &Target, kind: Kind) -> Result<OperationResult, Error> {
        let bmc = self.connect_system(target).await?;
        let message = |text: &str| OperationResult { message: text.to_owned(), inventory: None };
        let done = match kind {
            Kind::Inspect => bmc.inventory().await.map(summarize),
            Kind::PowerOn => bmc.power_on().await.map(|was_off| {
                message(if was_off { "the host was powered on" } else { "the host was on" })
            }),
            Kind::PowerOff => bmc.power_off().await.map(|shutdown| message(describe_off(shutdown))),
            Kind::PowerCycle => bmc.power_cycle().await.map(|restart| message(describe(restart))),
            Kind::PowerReset => bmc.reset().await.map(|restart| message(describe(restart))),
            Kind::FirmwareUpdate => Err(Error::Missing("an update has an image".to_owned())),
        };
        bmc.close().await;
        done
    }

    async fn mount(
        &self,
        target: &Target,
        media: &Media,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let bmc = self.connect(target, &Step::RedfishDiscover).await?;
        let ids: Vec<_> = bmc.slots().iter().map(|slot| slot.id.as_str()).collect();
        let title = bmc.profile().title;
        let found = match ids.as_slice() {
            [id] => format!("{title} with the slot {id}, for a combined image"),
            _ => format!("{title} with the slots {}", ids.join(", ")),
        };
        events.record(&Step::RedfishDiscover, found);
        let (first, second) = (Step::RedfishMountMaintenance, Step::RedfishMountTask);
        let mut free: Vec<&Slot> = bmc.slots().iter().collect();
        // The host boots from a CD. With one slot, both images are one.
        let cds: Vec<_> = free.iter().copied().filter(|slot| slot.kind == SlotKind::Cd).collect();
        let single = free.len() == 1;
        let image = if single { &media.combined } else { &media.maintenance };
        let booted = insert_first(&bmc, &cds, image, &first, events).await;
        let (booted, refused) = booted.map_err(map_failure(&first, Retry::Later))?;
        free.retain(|slot| *slot != booted && !refused.contains(slot));
        if !single {
            match insert_first(&bmc, &free, &media.task, &second, events).await {
                Ok(_) => {}
                // Some iDRACs accept one medium at a time, whatever slots they list.
                Err(refused) if refused.is_refusal() || free.is_empty() => {
                    let message = format!("inserting the combined image instead: {refused}");
                    events.record(&second, message);
                    let slots = [booted];
                    let inserted = insert_first(&bmc, &slots, &media.combined, &second, events);
                    inserted.await.map_err(map_failure(&second, Retry::Later))?;
                }
                Err(error) => return Err(map_failure(&second, Retry::Later)(error)),
            }
        }
        bmc.close().await;
        Ok(())
    }

    async fn boot_once(&self, target: &Target) -> Result<(), Failure> {
        let step = Step::RedfishBootOverride;
        let bmc = self.connect(target, &step).await?;
        bmc.boot_cd_once().await.map_err(map_failure(&step, Retry::Later))?;
        bmc.close().await;
        Ok(())
    }

    async fn reset(
        &self,
        target: &Target,
        attempt: ResetAttempt,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let step = Step::RedfishReset;
        let bmc = self.connect(target, &step).await?;
        let resumed = attempt == ResetAttempt::Again;
        let before = if resumed {
            // Before the first attempt, a one-time boot was set. If it is still set, the host has
            // not booted since.
            Snapshot { last_reset: None, boot_once: true }
        } else {
            bmc.snapshot().await.map_err(map_failure(&step, Retry::Later))?
        };
        let restart = bmc.restart(&before, resumed).await;
        let restart = restart.map_err(map_failure(&step, Retry::Unsure))?;
        events.record(&step, describe(restart).to_owned());
        bmc.close().await;
        Ok(())
    }

    async fn power_off(&self, target: &Target, events: &dyn EventSink) -> Result<(), Failure> {
        let step = Step::CleanupPowerOff;
        let bmc = self.connect(target, &step).await?;
        let shutdown = bmc.power_off().await.map_err(map_failure(&step, Retry::Later))?;
        events.record(&step, describe_off(shutdown).to_owned());
        bmc.close().await;
        Ok(())
    }

    async fn unmount(&self, target: &Target, events: &dyn EventSink) -> Result<(), Failure> {
        let step = Step::CleanupUnmount;
        let bmc = self.connect(target, &step).await?;
        // Eject all slots even if one fails: which of them were used is not stored.
        let mut results = Vec::new();
        for (index, slot) in bmc.slots().iter().enumerate() {
            match bmc.eject(slot).await {
                Ok(()) => events.record(&step, format!("slot {} is empty", slot.id)),
                // Probably a medium of a remote console, in a slot that no job uses.
                Err(error) if index >= USUAL_SLOTS && error.is_refusal() => {
                    events.record(&step, format!("slot {} is left alone: {error}", slot.id));
                }
                Err(error) => results.push(Err(error)),
            }
        }
        results.push(bmc.boot_normally().await);
        bmc.close().await;
        results.into_iter().collect::<Result<(), _>>().map_err(map_failure(&step, Retry::Later))
    }

    async fn restart(
        &self,
        target: &Target,
        attempt: ResetAttempt,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let step = Step::CleanupReset;
        let bmc = self.connect(target, &step).await?;
        let power = bmc.power().await.map_err(map_failure(&step, Retry::Later))?;
        // It is unknown whether a running host was restarted before: do not restart it again.
        if attempt == ResetAttempt::First || power == redfish::Power::Off {
            let before = bmc.snapshot().await.map_err(map_failure(&step, Retry::Later))?;
            let restart = bmc.restart(&before, false).await;
            let restart = restart.map_err(map_failure(&step, Retry::Unsure))?;
            events.record(&step, describe(restart).to_owned());
        }
        bmc.close().await;
        Ok(())
    }
}

impl bmc::Bmc for Redfish {
    fn profiles(&self) -> Vec<&'static str> {
        profile::PROFILES.iter().map(|profile| profile.name).collect()
    }

    fn operate<'a>(&'a self, target: &'a Target, kind: Kind) -> OperationFuture<'a> {
        Box::pin(async move { self.operate(target, kind).await.map_err(|error| explain(&error)) })
    }

    fn start_update<'a>(&'a self, target: &'a Target, image: &'a Secret) -> Started<'a> {
        Box::pin(
            async move { self.start_update(target, image).await.map_err(|error| explain(&error)) },
        )
    }

    fn follow_update<'a>(&'a self, target: &'a Target, monitor: &'a str) -> OperationFuture<'a> {
        Box::pin(async move {
            self.follow_update(target, monitor).await.map_err(|error| explain(&error))
        })
    }

    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> StepFuture<'a> {
        match operation {
            Operation::Mount(media) => Box::pin(self.mount(target, media, events)),
            Operation::BootOnce => Box::pin(self.boot_once(target)),
            Operation::Reset(attempt) => Box::pin(self.reset(target, attempt, events)),
            Operation::PowerOff => Box::pin(self.power_off(target, events)),
            Operation::Unmount => Box::pin(self.unmount(target, events)),
            Operation::Restart(attempt) => Box::pin(self.restart(target, attempt, events)),
        }
    }
}

/// Inserts an image into the first of `slots` that accepts it. Returns that slot, and those that
/// refused it.
async fn insert_first<'a>(
    bmc: &redfish::Bmc,
    slots: &[&'a Slot],
    image: &Secret,
    step: &Step,
    events: &dyn EventSink,
) -> Result<(&'a Slot, Vec<&'a Slot>), Error> {
    let mut refused = Vec::new();
    let mut refusal = Error::Missing("no slot is left".to_owned());
    for slot in slots {
        match bmc.insert(slot, image.expose()).await {
            Ok(()) => {
                events.record(step, format!("inserted into slot {}", slot.id));
                return Ok((slot, refused));
            }
            Err(error) if error.is_refusal() => {
                events.record(step, format!("refused by slot {}: {error}", slot.id));
                // The slot that is preferred has the refusal to report.
                if refused.is_empty() {
                    refusal = error;
                }
                refused.push(*slot);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refusal)
}

fn profile(target: &Target) -> Result<Option<&'static Profile>, String> {
    let named = |name: &String| {
        profile::find_profile(name).ok_or_else(|| format!("unknown BMC profile {name:?}"))
    };
    target.profile.as_ref().map(named).transpose()
}

fn summarize(inventory: redfish::Inventory) -> OperationResult {
    let components = inventory.components.len();
    let message = match inventory.notes.len() {
        0 => format!("{components} components"),
        notes => format!("{components} components; {notes} could not be read"),
    };
    OperationResult { message, inventory: Some(inventory) }
}

fn endpoint(target: &Target) -> Result<Endpoint, Error> {
    let tls = match &target.tls {
        bmc::TlsPolicy::System => redfish::TlsPolicy::System,
        bmc::TlsPolicy::Ca { certificates } => redfish::TlsPolicy::Ca(certificates.clone()),
        bmc::TlsPolicy::Pin { sha256 } => redfish::TlsPolicy::pin(sha256)?,
        bmc::TlsPolicy::Off => redfish::TlsPolicy::Insecure,
    };
    let user = target.username.clone();
    let password = target.password.expose().to_owned();
    let address = target.bmc_url.parse()?;
    Ok(Endpoint { address, credentials: Credentials { user, password }, tls })
}

/// Maps an error to a failure of `step`; transient errors get `transient`.
fn map_failure(step: &Step, transient: Retry) -> impl Fn(Error) -> Failure {
    let step = step.clone();
    move |error| {
        let retry = match error {
            Error::Credentials => Retry::Denied,
            _ if error.is_transient() => transient,
            _ => Retry::Never,
        };
        Failure { step: step.clone(), message: explain(&error), retry }
    }
}

/// The message of an error, with a fix if users have to act.
fn explain(error: &Error) -> String {
    match error {
        Error::Credentials => format!("{error}; fix: correct them with `controller servers put`"),
        _ => error.to_string(),
    }
}

fn describe_off(shutdown: Shutdown) -> &'static str {
    match shutdown {
        Shutdown::Already => "the host was off",
        Shutdown::Graceful => "the host was shut down by its operating system",
        Shutdown::Forced => "the host was powered off by force",
    }
}

fn describe(restart: Restart) -> &'static str {
    match restart {
        Restart::Already => "the host was already restarted",
        Restart::PoweredOn => "the host was powered on",
        Restart::Graceful => "the host was restarted gracefully",
        Restart::Forced => "the host was restarted by force",
    }
}
