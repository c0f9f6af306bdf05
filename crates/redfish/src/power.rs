// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Power state, the power verbs of operators, and the one restart of a job.
//!
//! A restart may have happened although its answer was lost, and a host that is restarted during
//! its installation is lost. So a restart is detected by its effects, compared with a [`Snapshot`]
//! from before. The caller stores the snapshot, also across its own restart.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::bmc::Bmc;
use crate::error::{Error, Refusal, Result};
use crate::timing::Timing;

/// Power state of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// On, or powering on.
    On,
    /// Off.
    Off,
    /// Powering off, paused, or unknown.
    Other,
}

/// Observable state of the host's boots. The caller stores it before a restart, until the restart
/// is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// `LastResetTime` (schema `ComputerSystem` 1.12), if the BMC has it.
    pub last_reset: Option<String>,
    /// Whether the boot source is set for one boot; the boot clears it.
    pub boot_once: bool,
}

/// How the host was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// By an earlier call.
    Already,
    /// It was off.
    PoweredOn,
    /// By its operating system.
    Graceful,
    /// By force.
    Forced,
}

/// How the host was powered off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It was off.
    Already,
    /// By its operating system.
    Graceful,
    /// By force.
    Forced,
}

/// The current state of the system.
struct State {
    power: Power,
    snapshot: Snapshot,
    target: Option<String>,
    allowed: Option<Vec<String>>,
}

impl State {
    async fn read(bmc: &Bmc) -> Result<Self> {
        let Bmc { client, found, .. } = bmc;
        let value = client.get(&found.system).await?.value;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let action = value.pointer("/Actions/#ComputerSystem.Reset");
        let allowed =
            match action.and_then(|action| action.get("ResetType@Redfish.AllowableValues")) {
                Some(list) => Some(list.clone()),
                // Since 2017 the list may be in a separate resource.
                None => match action.and_then(|action| action.get("@Redfish.ActionInfo")) {
                    Some(Value::String(path)) => parameters(&client.get(path).await?.value),
                    _ => None,
                },
            };
        let strings = |list: &Value| {
            let list = list.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(list.collect::<Vec<_>>())
        };
        Ok(Self {
            power: match text("/PowerState") {
                Some("On" | "PoweringOn") => Power::On,
                Some("Off") => Power::Off,
                _ => Power::Other,
            },
            snapshot: Snapshot {
                last_reset: text("/LastResetTime").map(str::to_owned),
                boot_once: text("/Boot/BootSourceOverrideEnabled") == Some("Once"),
            },
            target: action.and_then(|a| a.get("target")).and_then(Value::as_str).map(str::to_owned),
            allowed: allowed.as_ref().and_then(strings).filter(|list| !list.is_empty()),
        })
    }

    /// Whether a reset type is allowed. A BMC without a list gets the request.
    fn allows(&self, kind: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == kind))
    }

    /// Whether the host was restarted since `before`; `None` if nothing shows it.
    fn has_restarted_since(&self, before: &Snapshot) -> Option<bool> {
        if before.boot_once && !self.snapshot.boot_once {
            return Some(true);
        }
        match (&before.last_reset, &self.snapshot.last_reset) {
            (Some(before), Some(now)) => Some(before != now),
            _ => None,
        }
    }
}

/// The values of `ResetType` in an `ActionInfo` resource.
fn parameters(info: &Value) -> Option<Value> {
    let list = info.get("Parameters")?.as_array()?;
    let reset =
        list.iter().find(|one| one.get("Name").and_then(Value::as_str) == Some("ResetType"));
    reset?.get("AllowableValues").cloned()
}

impl Snapshot {
    /// Whether a restart is observable. If not, only the power state is.
    fn has_restart_evidence(&self) -> bool {
        self.last_reset.is_some() || self.boot_once
    }

    /// How long to wait for a restart that starts within `begin`. `LastResetTime` changes at once;
    /// the boot source is cleared only after POST.
    fn patience(&self, timing: &Timing, begin: Duration) -> Duration {
        begin + if self.last_reset.is_some() { Duration::ZERO } else { timing.post }
    }
}

/// The result of a reset request.
enum ResetReply {
    /// The BMC accepted it, or may have.
    Taken,
    /// It was certainly not carried out, and may be later: iDRACs answer 409 for some time after a
    /// reset.
    NotNow(Error),
    /// The BMC does not support it.
    Never(Error),
}

impl Bmc {
    /// Reads the power state.
    ///
    /// # Errors
    /// When the BMC does not report it.
    pub async fn power(&self) -> Result<Power> {
        Ok(State::read(self).await?.power)
    }

    /// Reads what shows a restart later. Take it after [`Self::boot_cd_once`], and store it before
    /// [`Self::restart`] is called.
    ///
    /// # Errors
    /// When the BMC does not report it.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Ok(State::read(self).await?.snapshot)
    }

    /// Restarts the host once, counted from `before`, or powers it on if it is off: gracefully if
    /// possible, by force if that is not available or does not end.
    ///
    /// `resumed` means that an earlier call may have been sent. If nothing shows yet whether it was,
    /// its effect is awaited first.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn restart(&self, before: &Snapshot, resumed: bool) -> Result<Restart> {
        let state = State::read(self).await?;
        let since = state.has_restarted_since(before);
        if state.power == Power::Off {
            self.switch_on().await?;
            return Ok(Restart::PoweredOn);
        }
        let timing = &self.client.timing;
        let begin = before.patience(timing, timing.power);
        if since == Some(true) || resumed && since.is_none() && self.wait(before, begin).await? {
            return Ok(Restart::Already);
        }
        if !before.has_restart_evidence() {
            return self.shut_down_and_start(&state).await;
        }
        if state.allows("GracefulRestart") && self.request(&state, "GracefulRestart").await? {
            if self.wait(before, before.patience(timing, timing.graceful)).await? {
                return Ok(Restart::Graceful);
            }
        } else if self.force(&state, before, begin).await? {
            return Ok(Restart::Forced);
        }
        // The power state is visible whatever the operating system does.
        self.switch_off().await?;
        // A restart that began just before may have used the one-time boot.
        if before.boot_once {
            self.boot_cd_once().await?;
        }
        self.switch_on().await?;
        Ok(Restart::Forced)
    }

    /// Restarts the host by force. False if the BMC refuses it, or the restart is not seen in time.
    async fn force(&self, state: &State, before: &Snapshot, limit: Duration) -> Result<bool> {
        for kind in ["ForceRestart", "PowerCycle"] {
            if state.allows(kind) && self.request(state, kind).await? {
                return self.wait(before, limit).await;
            }
        }
        Ok(false)
    }

    /// Restarts the host by force, or powers it on if it is off. Off and on where nothing else shows a
    /// restart.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn reset(&self) -> Result<Restart> {
        let state = State::read(self).await?;
        if state.power == Power::Off {
            self.switch_on().await?;
            return Ok(Restart::PoweredOn);
        }
        let before = &state.snapshot;
        let limit = before.patience(&self.client.timing, self.client.timing.power);
        if !before.has_restart_evidence() || !self.force(&state, before, limit).await? {
            self.switch_off().await?;
            self.switch_on().await?;
        }
        Ok(Restart::Forced)
    }

    /// Powers the host off, gracefully if possible, and on.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen off and on.
    pub async fn power_cycle(&self) -> Result<Restart> {
        let state = State::read(self).await?;
        if state.power == Power::Off {
            self.switch_on().await?;
            return Ok(Restart::PoweredOn);
        }
        self.shut_down_and_start(&state).await
    }

    /// Powers the host on, unless it is on. Returns whether it was off.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn power_on(&self) -> Result<bool> {
        let was_off = self.power().await? != Power::On;
        self.switch_on().await?;
        Ok(was_off)
    }

    /// A restart as power off and power on, each of which is observable.
    async fn shut_down_and_start(&self, state: &State) -> Result<Restart> {
        let shutdown = self.shut_down(state).await?;
        self.switch_on().await?;
        Ok(match shutdown {
            Shutdown::Graceful => Restart::Graceful,
            Shutdown::Already | Shutdown::Forced => Restart::Forced,
        })
    }

    /// Powers the host off: by its operating system if possible, by force if that is not available or
    /// does not end. Idempotent.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen off.
    pub async fn power_off(&self) -> Result<Shutdown> {
        let state = State::read(self).await?;
        if state.power == Power::Off {
            return Ok(Shutdown::Already);
        }
        self.shut_down(&state).await
    }

    async fn shut_down(&self, state: &State) -> Result<Shutdown> {
        let mut shutdown = Shutdown::Forced;
        if state.allows("GracefulShutdown") && self.request(state, "GracefulShutdown").await? {
            let deadline = Instant::now() + self.client.timing.graceful;
            while shutdown == Shutdown::Forced && Instant::now() < deadline {
                match self.power().await? {
                    Power::Off => shutdown = Shutdown::Graceful,
                    _ => tokio::time::sleep(self.client.timing.poll).await,
                }
            }
        }
        self.switch_off().await?;
        Ok(shutdown)
    }

    /// Requests a reset.
    async fn ask(&self, state: &State, kind: &str) -> Result<ResetReply> {
        let target = state.target.as_deref().ok_or_else(|| {
            Error::Missing(
                "the system has no reset action; the user may lack the permission".into(),
            )
        })?;
        Ok(match self.client.post(target, &json!({"ResetType": kind})).await {
            Ok(()) => ResetReply::Taken,
            Err(error)
                if error.refusal().is_some_and(Refusal::is_conflict)
                    || error.refusal().is_some() && error.is_undone() =>
            {
                ResetReply::NotNow(error)
            }
            Err(error) if error.is_undone() => return Err(error),
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, kind, "checking whether it was carried out");
                ResetReply::Taken
            }
            Err(error) if error.status() == Some(StatusCode::FORBIDDEN) => return Err(error),
            Err(error) if error.refusal().is_some() => {
                tracing::debug!(%error, kind, "refused");
                ResetReply::Never(error)
            }
            Err(error) => return Err(error),
        })
    }

    /// Requests a reset that has alternatives. False if the BMC refuses it; true if it accepted it or
    /// may have.
    async fn request(&self, state: &State, kind: &str) -> Result<bool> {
        match self.ask(state, kind).await? {
            ResetReply::Taken => Ok(true),
            ResetReply::NotNow(error) if error.is_undone() => Err(error),
            ResetReply::NotNow(_) | ResetReply::Never(_) => Ok(false),
        }
    }

    /// Waits until the host was restarted since `before`. False if that is not seen in time.
    async fn wait(&self, before: &Snapshot, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        let mut seen_off = false;
        loop {
            let state = State::read(self).await?;
            seen_off |= state.power == Power::Off;
            let restarted = seen_off || state.has_restarted_since(before) == Some(true);
            if restarted && state.power == Power::On {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(self.client.timing.poll).await;
        }
    }

    async fn switch_off(&self) -> Result<()> {
        self.switch(&["ForceOff"], Power::Off).await
    }

    async fn switch_on(&self) -> Result<()> {
        self.switch(&["On", "ForceOn"], Power::On).await
    }

    /// Brings the host to a power state. This is idempotent, so temporary refusals are retried until
    /// the state is reached or `timing.power` has passed.
    async fn switch(&self, kinds: &[&str], to: Power) -> Result<()> {
        let deadline = Instant::now() + self.client.timing.power;
        let mut asked = false;
        let mut refusal = None;
        loop {
            let state = State::read(self).await?;
            if state.power == to {
                return Ok(());
            }
            let mut pause = self.client.timing.poll;
            if !asked {
                match self.ask_any(&state, kinds, to).await? {
                    None => asked = true,
                    Some(error) => {
                        let wait = error.retry_after().unwrap_or_default();
                        pause = pause.max(wait.min(self.client.timing.backoff_max));
                        refusal = Some(error);
                    }
                }
            }
            if Instant::now() >= deadline {
                let limit = self.client.timing.power;
                let why =
                    refusal.map(|error| format!("; last refusal: {error}")).unwrap_or_default();
                return Err(Error::NotTaken(format!(
                    "the host is not {to:?} after {limit:?}{why}"
                )));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Requests the first of `kinds` that the BMC accepts. Returns the refusal if one may be accepted
    /// later.
    ///
    /// # Errors
    /// When the BMC refuses all of them permanently.
    async fn ask_any(&self, state: &State, kinds: &[&str], to: Power) -> Result<Option<Error>> {
        let mut not_now = None;
        let mut never = None;
        for kind in kinds.iter().filter(|kind| state.allows(kind)) {
            match self.ask(state, kind).await? {
                ResetReply::Taken => return Ok(None),
                ResetReply::NotNow(error) => not_now = not_now.or(Some(error)),
                ResetReply::Never(error) => never = never.or(Some(error)),
            }
        }
        match (not_now, never) {
            (Some(error), _) => Ok(Some(error)),
            (None, Some(error)) => Err(error),
            (None, None) => {
                Err(Error::Missing(format!("the BMC does not let the host be switched {to:?}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(last_reset: Option<&str>, boot_once: bool) -> State {
        let snapshot = Snapshot { last_reset: last_reset.map(str::to_owned), boot_once };
        State { power: Power::On, snapshot, target: None, allowed: None }
    }

    #[test]
    fn a_restart_is_detected_by_its_traces() {
        let before = |last, once| state(last, once).snapshot;
        let has_restarted = |now: State, before: Snapshot| now.has_restarted_since(&before);
        assert_eq!(has_restarted(state(Some("2"), true), before(Some("1"), true)), Some(true));
        assert_eq!(has_restarted(state(Some("1"), true), before(Some("1"), true)), Some(false));
        assert_eq!(has_restarted(state(Some("1"), false), before(Some("1"), true)), Some(true));
        assert_eq!(has_restarted(state(None, false), before(None, true)), Some(true));
        assert_eq!(has_restarted(state(None, true), before(None, true)), None);
        assert_eq!(has_restarted(state(None, false), before(None, false)), None);
    }

    #[test]
    fn the_list_of_an_action_info_is_read() {
        let info = json!({"Parameters": [{"Name": "x"}, {"Name": "ResetType", "AllowableValues": ["On"]}]});
        assert_eq!(parameters(&info), Some(json!(["On"])));
        assert_eq!(parameters(&json!({})), None);
    }
}
