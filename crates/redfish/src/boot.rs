// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The boot source for the next boot (schema `ComputerSystem`, `Boot`).

use std::time::Instant;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::profile::Profile;

/// Boots the virtual CD at the next boot, by UEFI.
///
/// # Errors
/// When the BMC refuses it, or does not show it in time.
pub(crate) async fn once(client: &Client, profile: &Profile, system: &str) -> Result<(), Error> {
    let mut with_mode = profile.boot_mode;
    let mut attempt = 0;
    loop {
        let boot = boot(client, system).await?;
        let target = target(&boot, profile)?;
        if is_set(&boot, target) {
            return Ok(());
        }
        let mut body = json!({
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideTarget": target,
        });
        let mode = text(&boot, "BootSourceOverrideMode");
        if with_mode && mode.is_some() && mode != Some("UEFI") {
            body["BootSourceOverrideMode"] = json!("UEFI");
        }
        let sent = client.patch(system, &json!({"Boot": body})).await;
        if let Err(error) = &sent
            && error.status() == Some(StatusCode::BAD_REQUEST)
            && error.refusal().is_some_and(|refusal| refusal.names("BootSourceOverrideMode"))
            && with_mode
        {
            with_mode = false;
            continue;
        }
        let error = match look(client, system, sent, target).await {
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

/// Takes back a boot source that was not used, or that the BMC keeps for every boot.
///
/// # Errors
/// When the BMC refuses it.
pub(crate) async fn clear(client: &Client, profile: &Profile, system: &str) -> Result<(), Error> {
    let boot = boot(client, system).await?;
    if !profile.boot_targets.iter().any(|target| is_set(&boot, target)) {
        return Ok(());
    }
    // The target stays: iLO refuses None while it is enabled (ironcore-dev/metal-operator, pull
    // 998).
    let off = json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}});
    match client.patch(system, &off).await {
        // The emulator of sushy-tools knows no such thing as disabled, only another source.
        Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) && !error.is_transient() => {
            let disk = json!({"Boot": {
                "BootSourceOverrideEnabled": "Disabled",
                "BootSourceOverrideTarget": "Hdd",
            }});
            client.patch(system, &disk).await
        }
        result => result,
    }
}

async fn boot(client: &Client, system: &str) -> Result<Value, Error> {
    let mut resource = client.get(system).await?.value;
    Ok(resource.get_mut("Boot").map(Value::take).unwrap_or_default())
}

fn text<'a>(boot: &'a Value, name: &str) -> Option<&'a str> {
    boot.get(name).and_then(Value::as_str)
}

/// Whether the next boot is from `target`. Some BMCs call it Continuous whatever was asked for.
fn is_set(boot: &Value, target: &str) -> bool {
    matches!(text(boot, "BootSourceOverrideEnabled"), Some("Once" | "Continuous"))
        && text(boot, "BootSourceOverrideTarget") == Some(target)
}

fn target(boot: &Value, profile: &Profile) -> Result<&'static str, Error> {
    let allowed = boot.get("BootSourceOverrideTarget@Redfish.AllowableValues");
    let allowed: Option<Vec<_>> = allowed
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect());
    let standard = profile.boot_targets.last().copied().unwrap_or("Cd");
    match allowed {
        // iDRAC10 leaves the list out (dell/iDRAC-Redfish-Scripting, issue 324).
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

/// Looks whether the source is set after a write that was answered with `sent`.
async fn look(
    client: &Client,
    system: &str,
    sent: Result<(), Error>,
    target: &str,
) -> Result<(), Error> {
    let deadline = Instant::now() + client.patience(&sent);
    loop {
        let boot = boot(client, system).await?;
        if is_set(&boot, target) {
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
    use crate::profile::{GENERIC, named};

    #[test]
    fn the_best_target_that_is_allowed_is_taken() {
        let boot =
            |allowed: &[&str]| json!({"BootSourceOverrideTarget@Redfish.AllowableValues": allowed});
        let supermicro = named("supermicro").unwrap();
        assert_eq!(target(&boot(&["Pxe", "Cd", "UsbCd"]), supermicro).unwrap(), "UsbCd");
        assert_eq!(target(&boot(&["Pxe", "Cd"]), supermicro).unwrap(), "Cd");
        assert_eq!(target(&boot(&["Cd", "UsbCd"]), GENERIC).unwrap(), "Cd");
        assert_eq!(target(&json!({}), GENERIC).unwrap(), "Cd");
        assert!(target(&boot(&["Pxe"]), GENERIC).is_err());
    }
}
