// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The hardware of a host as its BMC lists it: processors, memory, drives, network ports, firmware
//! and Secure Boot (DSP8010: `ComputerSystem`, `Processor`, `Memory`, `Drive`, `EthernetInterface`,
//! `SoftwareInventory`, `SecureBoot`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bmc::Bmc;
use crate::client::Client;
use crate::discover::{self, Discovery};
use crate::error::{Error, Result};

/// Most components of a class, and most resources that are read for it.
const MOST: usize = 512;
/// Most notes, and most characters of a text.
const NOTES: usize = 32;
const LONGEST: usize = 256;

/// Class of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The host itself; its version is that of the BIOS.
    System,
    /// The BMC.
    Manager,
    /// A processor.
    Processor,
    /// A memory module.
    Memory,
    /// A drive.
    Drive,
    /// A network port.
    Port,
    /// An installed firmware.
    Firmware,
    /// Secure Boot and its state.
    SecureBoot,
    /// A certificate in `db`: boot loaders that it signed are accepted.
    Certificate,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::System,
        Self::Manager,
        Self::Processor,
        Self::Memory,
        Self::Drive,
        Self::Port,
        Self::Firmware,
        Self::SecureBoot,
        Self::Certificate,
    ];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A hardware component. A field that the BMC does not report is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Component {
    /// What it is.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("enum" = Class::ALL)))]
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

/// The hardware of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Sorted by class and path.
    pub components: Vec<Component>,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

impl Bmc {
    /// Reads what the BMC lists of the host's hardware.
    ///
    /// # Errors
    /// When the BMC cannot be reached. What it does not list, or refuses to show, is no error.
    pub async fn inventory(&self) -> Result<Inventory> {
        let client = &*self.client;
        let mut reader = Reader { client, inventory: Inventory::default() };
        let Discovery { root, resource: system, .. } = &self.found;
        reader.add(Class::System, std::slice::from_ref(system));
        for path in discover::managers(client, root, system).await?.iter().take(MOST) {
            let manager = reader.get(path).await?;
            reader.add(Class::Manager, manager.as_slice());
        }
        for (class, from, links) in [
            (Class::Processor, system, &["/Processors"][..]),
            (Class::Memory, system, &["/Memory"]),
            (Class::Drive, system, &["/Storage", "/Drives"]),
            (Class::Port, system, &["/EthernetInterfaces"]),
            (Class::Firmware, root, &["/UpdateService", "/FirmwareInventory"]),
            (Class::SecureBoot, system, &["/SecureBoot"]),
        ] {
            let mut resources = reader.follow(from, links).await?;
            if class == Class::Port && !resources.iter().any(|port| mac(port).is_some()) {
                let links = &["/Links/Chassis", "/NetworkAdapters", "/NetworkDeviceFunctions"];
                resources = reader.follow(system, links).await?;
            }
            reader.add(class, &resources);
            if class == Class::SecureBoot {
                for secure_boot in &resources {
                    let mut databases =
                        reader.follow(secure_boot, &["/SecureBootDatabases"]).await?;
                    databases
                        .retain(|it| text(it, &["/DatabaseId", "/Id"]).as_deref() == Some("db"));
                    for db in &databases {
                        let certificates = reader.follow(db, &["/Certificates"]).await?;
                        reader.add(Class::Certificate, &certificates);
                    }
                }
            }
        }
        let mut inventory = reader.inventory;
        inventory
            .components
            .sort_by(|left, right| (left.class, &left.path).cmp(&(right.class, &right.path)));
        // Several storage resources may list the same drive.
        inventory
            .components
            .dedup_by(|left, right| (left.class, &left.path) == (right.class, &right.path));
        Ok(inventory)
    }
}

struct Reader<'a> {
    client: &'a Client,
    inventory: Inventory,
}

impl Reader<'_> {
    fn note(&mut self, note: &str) {
        if self.inventory.notes.len() < NOTES {
            self.inventory.notes.push(clip(note));
        }
    }

    fn add(&mut self, class: Class, resources: &[Value]) {
        let components = resources.iter().filter_map(|resource| Component::parse(class, resource));
        self.inventory.components.extend(components);
    }

    /// Notes an error of one resource. The errors of a BMC that is away are returned.
    fn note_error<T>(&mut self, path: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (Error::Refused(_) | Error::Answer { .. } | Error::Missing(_))) => {
                self.note(&format!("{path}: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn get(&mut self, path: &str) -> Result<Option<Value>> {
        let result = self.client.get(path).await.map(|resource| resource.value);
        self.note_error(path, result)
    }

    /// The resources at the end of a chain of links, each a JSON pointer. A link to a collection
    /// leads to all its members.
    async fn follow(&mut self, from: &Value, links: &[&str]) -> Result<Vec<Value>> {
        let mut resources = vec![from.clone()];
        for pointer in links {
            let (mut next, mut paths) = (Vec::new(), Vec::new());
            for resource in &resources {
                match resource.pointer(pointer) {
                    Some(Value::Array(list)) => paths.extend(list.iter().filter_map(discover::id)),
                    Some(one) => {
                        let Some(path) = discover::id(one) else { continue };
                        match self.get(&path).await? {
                            Some(value) if value.get("Members").is_some() => {
                                let members = discover::members(self.client, &path).await;
                                paths
                                    .extend(self.note_error(&path, members)?.into_iter().flatten());
                            }
                            value => next.extend(value),
                        }
                    }
                    None => {}
                }
            }
            if paths.len() > MOST {
                self.note(&format!("{pointer}: only the first {MOST} of {}", paths.len()));
                paths.truncate(MOST);
            }
            for path in &paths {
                next.extend(self.get(path).await?);
            }
            resources = next;
        }
        Ok(resources)
    }
}

impl Component {
    /// Reads a resource; `None` if the slot is empty.
    fn parse(class: Class, value: &Value) -> Option<Self> {
        if text(value, &["/Status/State"]).as_deref() == Some("Absent") {
            return None;
        }
        let path = discover::id(value).map(|path| clip(&path))?;
        let last = || path.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
        let id = text(value, &["/Id"]).or_else(last)?;
        let version: &[&str] = match class {
            Class::System => &["/BiosVersion"],
            Class::Manager | Class::Processor => &["/FirmwareVersion"],
            Class::Drive => &["/Revision", "/FirmwareVersion"],
            Class::Firmware => &["/Version"],
            Class::Memory => &["/FirmwareRevision"],
            Class::Port | Class::SecureBoot | Class::Certificate => &[],
        };
        let bytes = match class {
            Class::System => scale(value, "/MemorySummary/TotalSystemMemoryGiB", 1 << 30),
            Class::Memory => scale(value, "/CapacityMiB", 1 << 20),
            Class::Drive => scale(value, "/CapacityBytes", 1),
            _ => None,
        };
        let technology: Vec<_> = match class {
            Class::Drive => [text(value, &["/Protocol"]), text(value, &["/MediaType"])],
            Class::Memory => [text(value, &["/MemoryDeviceType"]), None],
            _ => [None, None],
        }
        .into_iter()
        .flatten()
        .collect();
        let state: &[&str] = match class {
            Class::Port => &["/LinkStatus"],
            Class::SecureBoot => &["/SecureBootCurrentBoot"],
            _ => &[],
        };
        let name: &[&str] = match class {
            Class::Certificate => &["/Subject/CommonName", "/Subject/DisplayString", "/Name"],
            _ => &["/Name"],
        };
        Some(Self {
            class,
            id,
            name: text(value, name),
            manufacturer: text(value, &["/Manufacturer"]),
            model: text(value, &["/Model"]),
            part_number: text(value, &["/PartNumber"]),
            serial: text(value, &["/SerialNumber"]),
            version: text(value, version),
            bytes,
            cores: scale(value, "/TotalCores", 1),
            mac: mac(value),
            technology: (!technology.is_empty()).then(|| technology.join(" ")),
            state: text(value, state),
            health: text(value, &["/Status/Health"]),
            path,
        })
    }
}

fn clip(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The first text at `pointers` that is not empty.
fn text(value: &Value, pointers: &[&str]) -> Option<String> {
    let texts = pointers.iter().filter_map(|pointer| value.pointer(pointer)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(clip)
}

/// A number in bytes. Some BMCs write integers as `64.0`.
fn scale(value: &Value, pointer: &str, unit: u64) -> Option<u64> {
    let number = value.pointer(pointer)?;
    if let Some(number) = number.as_u64() {
        return Some(number.saturating_mul(unit));
    }
    #[expect(clippy::cast_precision_loss, reason = "units are powers of two")]
    let bytes = number.as_f64().filter(|number| *number >= 0.0)? * unit as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the conversion saturates"
    )]
    Some(bytes as u64)
}

fn mac(value: &Value) -> Option<String> {
    let places = [
        "/PermanentMACAddress",
        "/MACAddress",
        "/Ethernet/PermanentMACAddress",
        "/Ethernet/MACAddress",
    ];
    text(value, &places).map(|mac| mac.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_component_is_what_the_resource_reports() {
        let drive = json!({
            "@odata.id": "/redfish/v1/Chassis/1/Drives/0",
            "Id": "0",
            "Name": " ",
            "Protocol": "NVMe",
            "MediaType": "SSD",
            "CapacityBytes": 960.0,
            "Revision": "1.2",
            "Model": "x".repeat(5_000),
            "SerialNumber": null,
            "Status": {"Health": "OK", "State": "Enabled"},
        });
        let found = Component::parse(Class::Drive, &drive).unwrap();
        assert_eq!(found.technology.as_deref(), Some("NVMe SSD"));
        assert_eq!((found.bytes, found.version.as_deref()), (Some(960), Some("1.2")));
        assert_eq!((found.name, found.serial), (None, None));
        assert_eq!(found.model.unwrap().len(), LONGEST);
        let memory = json!({"@odata.id": "/m", "CapacityMiB": 16384, "MemoryDeviceType": "DDR5"});
        assert_eq!(Component::parse(Class::Memory, &memory).unwrap().bytes, Some(16 << 30));
        let empty = json!({"@odata.id": "/m/2", "Status": {"State": "Absent"}});
        assert_eq!(Component::parse(Class::Memory, &empty), None);
        assert_eq!(Component::parse(Class::Memory, &json!({"CapacityMiB": 1})), None);
        let huge = json!({"@odata.id": "/d", "CapacityBytes": 1e300});
        assert_eq!(Component::parse(Class::Drive, &huge).unwrap().bytes, Some(u64::MAX));
    }
}
