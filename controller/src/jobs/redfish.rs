// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! BMC operations by Redfish.
//!
//! Every operation has a session of its own: a job waits for its host for hours, and BMCs have few
//! sessions.

use redfish::{
    Credentials, Endpoint, Error, Plan, Restart, Shutdown, Slot, Snapshot, Timing, profile,
};

use super::bmc::{self, Attempt, Call, EventSink, Failure, Media, Operation, Retry, Target};
use super::model::Step;

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
        let named = |name: &String| {
            profile::named(name).ok_or_else(|| never(format!("unknown BMC profile {name:?}")))
        };
        let profile = target.profile.as_ref().map(named).transpose()?;
        let endpoint = endpoint(target).map_err(|error| never(error.to_string()))?;
        redfish::Bmc::connect(&endpoint, &target.serial, profile, self.timing.clone())
            .await
            .map_err(failed(step, Retry::Later))
    }

    async fn mount(
        &self,
        target: &Target,
        media: &Media,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let bmc = self.connect(target, &Step::RedfishDiscover).await?;
        let ids: Vec<_> = bmc.plan().slots().iter().map(|slot| slot.id.as_str()).collect();
        let found = format!("{} with the slots {}", bmc.profile().title, ids.join(" and "));
        events.record(&Step::RedfishDiscover, found);
        let (first, second) = (Step::RedfishMountMaintenance, Step::RedfishMountTask);
        let together = async |slot: &Slot| {
            bmc.insert(slot, media.combined.expose()).await?;
            events.record(&second, format!("inserted the combined image into slot {}", slot.id));
            Ok(())
        };
        match bmc.plan() {
            Plan::One { combined } => {
                together(combined).await.map_err(failed(&first, Retry::Later))?;
            }
            Plan::Two { maintenance, task } => {
                let inserted = bmc.insert(maintenance, media.maintenance.expose()).await;
                inserted.map_err(failed(&first, Retry::Later))?;
                events.record(&first, format!("inserted into slot {}", maintenance.id));
                match bmc.insert(task, media.task.expose()).await {
                    Ok(()) => events.record(&second, format!("inserted into slot {}", task.id)),
                    // Some iDRACs accept one medium at a time, whatever slots they list.
                    Err(refused) if refused.is_refusal() => {
                        events.record(
                            &second,
                            format!("refused, inserting the combined image instead: {refused}"),
                        );
                        together(maintenance).await.map_err(failed(&second, Retry::Later))?;
                    }
                    Err(error) => return Err(failed(&second, Retry::Later)(error)),
                }
            }
        }
        bmc.close().await;
        Ok(())
    }

    async fn boot_once(&self, target: &Target) -> Result<(), Failure> {
        let step = Step::RedfishBootOverride;
        let bmc = self.connect(target, &step).await?;
        bmc.boot_cd_once().await.map_err(failed(&step, Retry::Later))?;
        bmc.close().await;
        Ok(())
    }

    async fn reset(
        &self,
        target: &Target,
        attempt: Attempt,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let step = Step::RedfishReset;
        let bmc = self.connect(target, &step).await?;
        let resumed = attempt == Attempt::Again;
        let before = if resumed {
            // Before the first attempt, a one-time boot was set. If it is still set, the host has
            // not booted since.
            Snapshot { last_reset: None, boot_once: true }
        } else {
            bmc.snapshot().await.map_err(failed(&step, Retry::Later))?
        };
        let restart = bmc.restart(&before, resumed).await;
        events.record(&step, describe(restart.map_err(failed(&step, Retry::Unsure))?).to_owned());
        bmc.close().await;
        Ok(())
    }

    async fn power_off(&self, target: &Target, events: &dyn EventSink) -> Result<(), Failure> {
        let step = Step::CleanupPowerOff;
        let bmc = self.connect(target, &step).await?;
        let message = match bmc.power_off().await.map_err(failed(&step, Retry::Later))? {
            Shutdown::Already => "the host was off",
            Shutdown::Graceful => "the host was shut down by its operating system",
            Shutdown::Forced => "the host was powered off by force",
        };
        events.record(&step, message.to_owned());
        bmc.close().await;
        Ok(())
    }

    async fn unmount(&self, target: &Target, events: &dyn EventSink) -> Result<(), Failure> {
        let step = Step::CleanupUnmount;
        let bmc = self.connect(target, &step).await?;
        // Eject all slots even if one fails.
        let mut results = Vec::new();
        for slot in bmc.plan().slots() {
            let result = bmc.eject(slot).await;
            if result.is_ok() {
                events.record(&step, format!("slot {} is empty", slot.id));
            }
            results.push(result);
        }
        results.push(bmc.boot_normally().await);
        bmc.close().await;
        results.into_iter().collect::<Result<(), _>>().map_err(failed(&step, Retry::Later))
    }

    async fn restart(
        &self,
        target: &Target,
        attempt: Attempt,
        events: &dyn EventSink,
    ) -> Result<(), Failure> {
        let step = Step::CleanupReset;
        let bmc = self.connect(target, &step).await?;
        let power = bmc.power().await.map_err(failed(&step, Retry::Later))?;
        // It is unknown whether a running host was restarted before: do not restart it again.
        if attempt == Attempt::First || power == redfish::Power::Off {
            let before = bmc.snapshot().await.map_err(failed(&step, Retry::Later))?;
            let restart = bmc.restart(&before, false).await;
            events
                .record(&step, describe(restart.map_err(failed(&step, Retry::Unsure))?).to_owned());
        }
        bmc.close().await;
        Ok(())
    }
}

impl bmc::Bmc for Redfish {
    fn profiles(&self) -> Vec<&'static str> {
        profile::PROFILES.iter().map(|profile| profile.name).collect()
    }

    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> Call<'a> {
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
fn failed(step: &Step, transient: Retry) -> impl Fn(Error) -> Failure {
    let step = step.clone();
    move |error| {
        let retry = match error {
            Error::Credentials => Retry::Denied,
            _ if error.is_transient() => transient,
            _ => Retry::Never,
        };
        Failure { step: step.clone(), message: error.to_string(), retry }
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
