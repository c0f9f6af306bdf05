// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The hardware of servers, as their BMCs list it: stored with its time, and compared with the
//! inspection before.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, named_params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::DatabaseError;
use crate::database::rows::columns;
use crate::jobs::clock;
use crate::words::words;

/// Most components of an inventory. A large server has some three hundred, half of them firmware.
const MOST: usize = 2048;

words! {
    /// Class of a hardware component.
    #[derive(PartialOrd, Ord)]
    pub Class, "a class of hardware":
    /// The host itself; its version is that of the BIOS.
    System = "system",
    /// The BMC.
    Manager = "manager",
    /// A processor.
    Processor = "processor",
    /// A memory module.
    Memory = "memory",
    /// A drive.
    Drive = "drive",
    /// A network port.
    Port = "port",
    /// An installed firmware.
    Firmware = "firmware",
    /// Secure Boot and its state.
    SecureBoot = "secure-boot",
    /// A certificate whose boot loaders Secure Boot accepts.
    Certificate = "certificate",
}

/// A hardware component. A field that the BMC does not report is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Component {
    /// What it is.
    pub class: Class,
    /// Its Redfish resource, which identifies it.
    pub path: String,
    /// `Id` of the resource.
    pub id: String,
    /// Name; of a certificate, the common name of its subject.
    pub name: Option<String>,
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Part number.
    pub part_number: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Version of its firmware.
    pub version: Option<String>,
    /// Capacity of a drive or of memory, in bytes.
    pub bytes: Option<u64>,
    /// Cores of a processor.
    pub cores: Option<u64>,
    /// MAC address of a port, in lower case.
    pub mac: Option<String>,
    /// Such as `NVMe SSD` or `DDR5`.
    pub technology: Option<String>,
    /// State of a link, or of Secure Boot.
    pub state: Option<String>,
    /// `OK`, `Warning` or `Critical`.
    pub health: Option<String>,
}

/// Result of an inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Sorted by class and path.
    pub components: Vec<Component>,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

/// A difference between two inventories. Without a field, the component was added (`after`) or
/// removed (`before`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// Class of the component.
    pub class: Class,
    /// Its Redfish resource.
    pub path: String,
    /// `Id` of the resource.
    pub id: String,
    /// The changed field; null if the component was added or removed.
    pub field: Option<String>,
    /// Value in the inspection before.
    pub before: Option<String>,
    /// Value in the last inspection.
    pub after: Option<String>,
}

/// The stored inventories of a server. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Time of the last inspection.
    pub at: i64,
    /// Its result as JSON.
    inventory: String,
    /// Time of the inspection before.
    pub previous_at: Option<i64>,
    previous: Option<String>,
}

columns!(Hardware: at, inventory, previous_at, previous);

impl Hardware {
    /// Returns the last inventory, and its differences from the one before.
    ///
    /// # Errors
    /// If the stored JSON is not an inventory.
    pub fn parse(&self) -> Result<(Inventory, Vec<Change>), DatabaseError> {
        let parse = |text: &str| {
            serde_json::from_str::<Inventory>(text).map_err(|e| DatabaseError::Other(e.to_string()))
        };
        let now = parse(&self.inventory)?;
        let changes = match &self.previous {
            Some(previous) => differences(&parse(previous)?.components, &now.components),
            None => Vec::new(),
        };
        Ok((now, changes))
    }
}

/// Stores the result of an inspection, and keeps that of the one before.
///
/// # Errors
/// If the database fails.
pub fn put(
    connection: &Connection,
    serial: &str,
    mut inventory: Inventory,
) -> Result<(), DatabaseError> {
    let found = inventory.components.len();
    if found > MOST {
        inventory.components.truncate(MOST);
        inventory.notes.push(format!("only the first {MOST} of {found} components are stored"));
    }
    let text =
        serde_json::to_string(&inventory).map_err(|e| DatabaseError::Other(e.to_string()))?;
    let sql = "INSERT INTO hardware (serial, at, inventory) VALUES (:serial, :at, :inventory) \
               ON CONFLICT (serial) DO UPDATE SET previous_at = at, previous = inventory, \
               at = excluded.at, inventory = excluded.inventory";
    let values = named_params! { ":serial": serial, ":at": clock::now(), ":inventory": text };
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Returns the stored inventories of a server.
///
/// # Errors
/// If the database fails.
pub fn find(connection: &Connection, serial: &str) -> Result<Option<Hardware>, DatabaseError> {
    let sql = format!("SELECT {} FROM hardware WHERE serial = ?1", Hardware::COLUMNS);
    Ok(connection.prepare_cached(&sql)?.query_row([serial], Hardware::read).optional()?)
}

/// What Secure Boot accepts by Microsoft's CAs: a boot loader, and the CAs of 2011 and 2023 that sign
/// it. The signatures of one generation are refused by firmware that lists only the other.
const SIGNERS: [(&str, [&str; 2]); 2] = [
    (
        "shim of Linux distributions",
        ["Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"],
    ),
    ("boot manager of Windows", ["Microsoft Windows Production PCA 2011", "Windows UEFI CA 2023"]),
];

/// Returns which boot loaders Secure Boot refuses, if it is on and its certificates are listed.
pub(crate) fn secure_boot_warnings(components: &[Component]) -> Vec<String> {
    let is_on = components.iter().any(|component| {
        component.class == Class::SecureBoot && component.state.as_deref() == Some("Enabled")
    });
    let certificates: Vec<&str> = components
        .iter()
        .filter(|component| component.class == Class::Certificate)
        .filter_map(|component| component.name.as_deref())
        .collect();
    if !is_on || certificates.is_empty() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (loader, signers) in SIGNERS {
        let missing: Vec<&str> =
            signers.into_iter().filter(|signer| !certificates.contains(signer)).collect();
        if !missing.is_empty() {
            let missing = missing.join(" or ");
            warnings.push(format!("Secure Boot refuses a {loader} that is signed by {missing}"));
        }
    }
    warnings
}

/// Returns the differences between two inventories, sorted by class and path.
fn differences(before: &[Component], after: &[Component]) -> Vec<Change> {
    fn by_key(components: &[Component]) -> BTreeMap<(Class, &str), &Component> {
        components.iter().map(|it| ((it.class, it.path.as_str()), it)).collect()
    }
    let (before, after) = (by_key(before), by_key(after));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut changes = Vec::new();
    for key in keys {
        match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => changes.extend(before.changes(after)),
            (before, after) => {
                let describe = |component: &&Component| component.describe();
                let Some(component) = before.or(after) else { continue };
                changes.push(component.change(None, before.map(describe), after.map(describe)));
            }
        }
    }
    changes
}

impl Component {
    /// Name, manufacturer, model and serial number, as far as they are known.
    fn describe(&self) -> String {
        let parts = [&self.name, &self.manufacturer, &self.model, &self.serial, &self.version];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join(" ")
    }

    fn change(
        &self,
        field: Option<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Change {
        Change {
            class: self.class,
            path: self.path.clone(),
            id: self.id.clone(),
            field,
            before,
            after,
        }
    }

    /// The fields that differ in `after`, by their names in the API.
    fn changes(&self, after: &Self) -> Vec<Change> {
        let fields = |component: &Self| match serde_json::to_value(component) {
            Ok(Value::Object(fields)) => fields,
            // A struct is an object.
            _ => serde_json::Map::new(),
        };
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let (old, new) = (fields(self), fields(after));
        let changed = old.iter().filter_map(|(name, value)| {
            let now = new.get(name)?;
            (now != value).then(|| self.change(Some(name.clone()), text(value), text(now)))
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(path: &str, serial: &str, version: &str) -> Component {
        Component {
            class: Class::Drive,
            path: path.to_owned(),
            id: path.to_owned(),
            name: None,
            manufacturer: None,
            model: Some("D960".to_owned()),
            part_number: None,
            serial: Some(serial.to_owned()),
            version: Some(version.to_owned()),
            bytes: Some(960),
            cores: None,
            mac: None,
            technology: None,
            state: None,
            health: None,
        }
    }

    #[test]
    fn a_signer_that_secure_boot_does_not_know_is_a_warning() {
        let component = |class, name: &str, state: &str| Component {
            class,
            name: Some(name.to_owned()),
            state: Some(state.to_owned()),
            ..drive(name, "", "")
        };
        let [linux, windows] = SIGNERS.map(|(_, signers)| signers);
        let warnings = |state: &str, names: &[&str]| {
            let certificates = names.iter().map(|name| component(Class::Certificate, name, ""));
            let all = certificates.chain([component(Class::SecureBoot, "", state)]);
            secure_boot_warnings(&all.collect::<Vec<_>>())
        };
        assert!(warnings("Enabled", &[linux, windows].concat()).is_empty());
        assert!(warnings("Disabled", &[linux[0]]).is_empty());
        assert!(warnings("Enabled", &[]).is_empty(), "the BMC lists no certificates");
        let shown = warnings("Enabled", &[linux[0], windows[0], windows[1]]);
        assert_eq!(
            shown,
            [
                "Secure Boot refuses a shim of Linux distributions that is signed by Microsoft UEFI CA 2023"
            ]
        );
        assert_eq!(warnings("Enabled", &linux).len(), 1);
    }

    #[test]
    fn what_was_added_removed_and_changed_is_listed() {
        let before = [drive("/0", "A", "1"), drive("/1", "B", "1"), drive("/2", "C", "1")];
        let after = [drive("/0", "A", "1"), drive("/1", "X", "2"), drive("/3", "D", "1")];
        let shown: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|it| (it.path, it.field, it.before, it.after))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown,
            [
                ("/1".to_owned(), text("serial"), text("B"), text("X")),
                ("/1".to_owned(), text("version"), text("1"), text("2")),
                ("/2".to_owned(), None, text("D960 C 1"), None),
                ("/3".to_owned(), None, None, text("D960 D 1")),
            ]
        );
        assert!(differences(&after, &after).is_empty());
    }
}
