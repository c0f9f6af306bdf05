// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The boot source for the next boot (schema `ComputerSystem`, `Boot`).

use std::time::Instant;

use serde_json::{Value, json};

use crate::bmc::Bmc;
use crate::client::Client;
use crate::discover::Discovery;
use crate::error::{Error, Result};
use crate::profile::Profile;

impl Bmc {
    /// Sets the virtual CD as the source of the next boot only, with UEFI.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it in time.
    pub async fn boot_cd_once(&self) -> Result<()> {
        let (client, Discovery { profile, system, .. }) = (&*self.client, &self.found);
        let mut request = Request {
            mode: if profile.accepts_boot_mode { Mode::Needed } else { Mode::Never },
            in_settings: false,
        };
        let mut attempt = 0;
        loop {
            let resource = client.get(system).await?.value;
            let boot = resource.get("Boot").unwrap_or(&Value::Null);
            let target = target(boot, profile)?;
            if is_set(boot, target) {
                return Ok(());
            }
            let settings = settings(&resource);
            let place = settings.as_deref().filter(|_| request.in_settings).unwrap_or(system);
            let (body, with_mode) = request.body(boot, target);
            let sent = client.patch(place, &body).await;
            if let Err(error) = &sent
                && request.adapt(error, with_mode, settings.is_some())
            {
                continue;
            }
            let error = match confirm(client, system, place, sent, target).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            attempt += 1;
            if !error.is_transient() || attempt >= client.timing.attempts {
                return Err(error);
            }
            tokio::time::sleep(client.timing.pause(attempt, error.retry_after())).await;
        }
    }

    /// Restores the boot order of the host: clears a boot source that was not used, or that the BMC
    /// keeps for every boot.
    ///
    /// # Errors
    /// When the BMC refuses it.
    pub async fn boot_normally(&self) -> Result<()> {
        let (client, Discovery { profile, system, .. }) = (&*self.client, &self.found);
        let resource = client.get(system).await?.value;
        let boot = resource.get("Boot").unwrap_or(&Value::Null);
        if !profile.boot_targets.iter().any(|target| is_set(boot, target)) {
            return Ok(());
        }
        // The target stays: iLO refuses None while it is enabled (ironcore-dev/metal-operator, pull
        // 998).
        let off = json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}});
        // The emulator of sushy-tools lacks Disabled and needs another source.
        let disk = json!({"Boot": {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideTarget": "Hdd",
        }});
        let settings = settings(&resource);
        let mut ways = vec![(system.as_str(), &off), (system.as_str(), &disk)];
        ways.extend(settings.as_deref().map(|settings| (settings, &off)));
        let mut result = Ok(());
        for (place, body) in ways {
            result = client.patch(place, body).await;
            match &result {
                Err(error) if error.is_refusal() => {}
                _ => break,
            }
        }
        result
    }
}

/// Whether `BootSourceOverrideMode` is sent with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// If the system is in another mode.
    Needed,
    /// The BMC requires it.
    Always,
    /// The BMC refuses it.
    Never,
}

/// Form of the request. It starts with the least and adapts to refusals.
#[derive(Debug)]
struct Request {
    mode: Mode,
    /// The change goes to the settings resource (DSP0266, section 9.10 "Settings resource") instead
    /// of the system.
    in_settings: bool,
}

impl Request {
    /// The body, and whether it contains the mode.
    fn body(&self, boot: &Value, target: &str) -> (Value, bool) {
        let mut body = json!({
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideTarget": target,
        });
        let mode = text(boot, "BootSourceOverrideMode");
        let with_mode = match self.mode {
            Mode::Needed => mode.is_some_and(|mode| mode != "UEFI"),
            Mode::Always => true,
            Mode::Never => false,
        };
        if with_mode {
            body["BootSourceOverrideMode"] = json!("UEFI");
        }
        (json!({ "Boot": body }), with_mode)
    }

    /// Adapts to a refusal; false if it shows no other form. Each form is tried once.
    fn adapt(&mut self, error: &Error, with_mode: bool, has_settings: bool) -> bool {
        let Some(refusal) = error.refusal().filter(|_| error.is_refusal()) else { return false };
        if refusal.names("BootSourceOverrideMode") {
            let next = match (self.mode, with_mode) {
                (Mode::Needed, true) => Some(Mode::Never),
                (Mode::Needed | Mode::Never, false) => Some(Mode::Always),
                (Mode::Always, _) | (Mode::Never, true) => None,
            };
            if let Some(next) = next {
                self.mode = next;
                return true;
            }
        }
        let elsewhere = has_settings && !self.in_settings;
        self.in_settings |= elsewhere;
        elsewhere
    }
}

/// The resource that accepts changes for this one (annotation `@Redfish.Settings`).
fn settings(resource: &Value) -> Option<String> {
    let link = resource.pointer("/@Redfish.Settings/SettingsObject/@odata.id");
    link.and_then(Value::as_str).map(str::to_owned)
}

async fn boot(client: &Client, system: &str) -> Result<Value> {
    let mut resource = client.get(system).await?.value;
    Ok(resource.get_mut("Boot").map(Value::take).unwrap_or_default())
}

fn text<'a>(boot: &'a Value, name: &str) -> Option<&'a str> {
    boot.get(name).and_then(Value::as_str)
}

/// Whether the next boot is from `target`. Some BMCs report Continuous for every request.
fn is_set(boot: &Value, target: &str) -> bool {
    matches!(text(boot, "BootSourceOverrideEnabled"), Some("Once" | "Continuous"))
        && text(boot, "BootSourceOverrideTarget") == Some(target)
}

fn target(boot: &Value, profile: &Profile) -> Result<&'static str> {
    let allowed = boot.get("BootSourceOverrideTarget@Redfish.AllowableValues");
    let allowed: Option<Vec<_>> = allowed
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect());
    let standard = profile.boot_targets.last().copied().unwrap_or("Cd");
    match allowed {
        // iDRAC10 omits the list (dell/iDRAC-Redfish-Scripting, issue 324).
        None => Ok(standard),
        Some(allowed) => {
            let best = profile.boot_targets.iter().find(|target| allowed.contains(target));
            best.copied().ok_or_else(|| {
                let offers = allowed.join(", ");
                Error::Missing(format!(
                    "the system can't boot from a virtual CD once, only {offers}"
                ))
            })
        }
    }
}

/// Checks that the source is set after a write to `place` that was answered with `sent`.
async fn confirm(
    client: &Client,
    system: &str,
    place: &str,
    sent: Result<()>,
    target: &str,
) -> Result<()> {
    let deadline = Instant::now() + client.patience(&sent);
    loop {
        let boot = boot(client, system).await?;
        // A settings resource shows what the next boot will apply.
        if is_set(&boot, target)
            || place != system && is_set(&self::boot(client, place).await?, target)
        {
            return Ok(());
        }
        if Instant::now() >= deadline {
            sent?;
            let enabled = text(&boot, "BootSourceOverrideEnabled").unwrap_or("nothing");
            let found = text(&boot, "BootSourceOverrideTarget").unwrap_or("nothing");
            return Err(Error::NotTaken(format!(
                "the BMC accepted to boot {target} once, but shows {found}, {enabled}"
            )));
        }
        tokio::time::sleep(client.timing.poll).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{GENERIC, find_profile};

    #[test]
    fn the_best_target_that_is_allowed_is_taken() {
        let boot =
            |allowed: &[&str]| json!({"BootSourceOverrideTarget@Redfish.AllowableValues": allowed});
        let supermicro = find_profile("supermicro").unwrap();
        assert_eq!(target(&boot(&["Pxe", "Cd", "UsbCd"]), supermicro).unwrap(), "UsbCd");
        assert_eq!(target(&boot(&["Pxe", "Cd"]), supermicro).unwrap(), "Cd");
        assert_eq!(target(&boot(&["Cd", "UsbCd"]), GENERIC).unwrap(), "Cd");
        assert_eq!(target(&json!({}), GENERIC).unwrap(), "Cd");
        assert!(target(&boot(&["Pxe"]), GENERIC).is_err());
    }
}
