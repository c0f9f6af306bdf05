// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! From the service root to the system, its manager and its slots.

use serde_json::Value;

use crate::client::{Client, ROOT};
use crate::error::{Error, Result};
use crate::profile::{self, Profile};
use crate::slot::{self, Slot};

/// Fillers that vendors ship instead of a serial number.
const FILLERS: &[&str] = &[
    "",
    "0",
    "none",
    "n/a",
    "unknown",
    "0123456789",
    "1234567890",
    "not specified",
    "default string",
];

/// Most pages and members of a collection that are read. An enclosure has some hundred systems.
const PAGES: usize = 100;
const MEMBERS: usize = 1000;
/// Most serial numbers of other systems in an error, and the most characters of each.
const NAMED: usize = 4;
const SHOWN: usize = 64;

/// The result of the discovery.
pub(crate) struct Discovery {
    pub(crate) root: Value,
    /// The system as it was then.
    pub(crate) resource: Value,
    /// Path of the system.
    pub(crate) system: String,
    pub(crate) profile: &'static Profile,
}

/// Finds the system with this serial number. `profile` overrides the detection.
pub(crate) async fn discover(
    client: &Client,
    serial: &str,
    profile: Option<&'static Profile>,
) -> Result<Discovery> {
    let root = client.get(ROOT).await?.value;
    let systems =
        link(&root, "Systems").ok_or_else(|| missing_error("the BMC lists no systems"))?;
    let system = system(client, &systems, serial).await?;
    let path = id(&system).ok_or_else(|| missing_error("the system has no @odata.id"))?;
    let profile = profile.unwrap_or_else(|| profile::detect(&root, &system));
    Ok(Discovery { root, resource: system, system: path, profile })
}

/// Finds the slots for the media of the system, in order of preference.
pub(crate) async fn slots(client: &Client, found: &Discovery) -> Result<Vec<Slot>> {
    let Discovery { root, resource: system, system: path, profile } = found;
    let mut slots = Vec::new();
    for manager in managers(client, root, system).await? {
        let manager = client.get(&manager).await?.value;
        slots = media(client, &manager, profile).await?;
        if !slots.is_empty() {
            break;
        }
    }
    // Newer iDRACs and the standard since 2020 have them here.
    if slots.is_empty() {
        slots = media(client, system, profile).await?;
    }
    let slots = slot::choose(slots);
    if slots.is_empty() {
        return Err(missing_error(
            "the BMC has no virtual CD that takes a URL; its licence may not cover virtual media",
        ));
    }
    tracing::debug!(system = path, profile = profile.name, ?slots, "discovered");
    Ok(slots)
}

/// The system with this serial number, or the only one if it has no number. Another host is never
/// used: its disks would be overwritten.
async fn system(client: &Client, systems: &str, serial: &str) -> Result<Value> {
    let (mut silent, mut silent_count) = (None, 0);
    let mut others = Vec::new();
    for path in members(client, systems).await? {
        let system = client.get(&path).await?.value;
        // Dell has the service tag, which DMI calls the serial number, in SKU.
        let serials = ["SerialNumber", "SKU"].map(|name| system.get(name).and_then(Value::as_str));
        let serials: Vec<_> = serials.into_iter().flatten().map(str::trim).collect();
        if serials.iter().any(|found| found.eq_ignore_ascii_case(serial.trim())) {
            return Ok(system);
        }
        let number = system.get("SerialNumber").and_then(Value::as_str).unwrap_or_default().trim();
        if FILLERS.contains(&number.to_lowercase().as_str()) {
            silent_count += 1;
            silent = Some(system);
        } else {
            others.push(number.chars().take(SHOWN).collect::<String>());
        }
    }
    match (silent, silent_count < 2 && others.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, true) => Err(missing_error("the BMC lists no systems")),
        _ if others.is_empty() => {
            Err(missing_error("the BMC has several systems, none with a serial number"))
        }
        _ => {
            let more = if others.len() > NAMED { ", …" } else { "" };
            others.truncate(NAMED);
            Err(missing_error(&format!(
                "the BMC belongs to another host: its serial number is {}{more}, expected {serial}",
                others.join(", ")
            )))
        }
    }
}

/// The managers of the system, else all.
pub(crate) async fn managers(client: &Client, root: &Value, system: &Value) -> Result<Vec<String>> {
    let list = system.pointer("/Links/ManagedBy").and_then(Value::as_array);
    let paths: Vec<_> = list.into_iter().flatten().filter_map(id).collect();
    if !paths.is_empty() {
        return Ok(paths);
    }
    match link(root, "Managers") {
        Some(managers) => members(client, &managers).await,
        None => Ok(Vec::new()),
    }
}

/// The usable slots of a manager or system. If the profile leaves none, all are used: another
/// product of the same vendor may have other names.
async fn media(client: &Client, owner: &Value, profile: &Profile) -> Result<Vec<Slot>> {
    let Some(collection) = link(owner, "VirtualMedia") else { return Ok(Vec::new()) };
    let mut slots = Vec::new();
    for path in members(client, &collection).await? {
        slots.extend(Slot::parse(&client.get(&path).await?));
    }
    if slots.iter().any(|slot| profile.can_use_slot(&slot.id)) {
        slots.retain(|slot| profile.can_use_slot(&slot.id));
    }
    Ok(slots)
}

/// The paths of a collection's members, over all its pages.
pub(crate) async fn members(client: &Client, collection: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut next = Some(collection.to_owned());
    let mut pages = 0;
    while let Some(page) = next {
        let value = client.get(&page).await?.value;
        let list = value.get("Members").and_then(Value::as_array);
        paths.extend(list.into_iter().flatten().filter_map(id));
        next = value.get("Members@odata.nextLink").and_then(Value::as_str).map(str::to_owned);
        pages += 1;
        if pages > PAGES || paths.len() > MEMBERS {
            let message = format!(
                "{collection} has more than {MEMBERS} members or {PAGES} pages, and no BMC has that many"
            );
            return Err(missing_error(&message));
        }
    }
    Ok(paths)
}

pub(crate) fn link(value: &Value, name: &str) -> Option<String> {
    id(value.get(name)?)
}

pub(crate) fn id(value: &Value) -> Option<String> {
    value.get("@odata.id").and_then(Value::as_str).map(str::to_owned)
}

fn missing_error(what: &str) -> Error {
    Error::Missing(what.to_owned())
}
