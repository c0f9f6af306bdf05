// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The hardware that the BMC lists: processors, memory, drives, network ports, firmware, Secure Boot.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, refusal};
use crate::paths::{ROOT, collection, link, system_path};
use crate::personality::Personality;

pub(crate) fn chassis_path() -> String {
    format!("{ROOT}/Chassis/1")
}

pub(crate) fn update_service_path() -> String {
    format!("{ROOT}/UpdateService")
}

pub(crate) fn simple_update_path() -> String {
    format!("{}/Actions/UpdateService.SimpleUpdate", update_service_path())
}

/// Adds the links to the hardware to the system.
pub(crate) fn describe_system(personality: &Personality, bios: &str, system: &mut Value) {
    let path = system_path(personality);
    system["Model"] = json!("Model 42");
    system["BiosVersion"] = json!(bios);
    system["MemorySummary"] = json!({"TotalSystemMemoryGiB": 64.0});
    system["Links"]["Chassis"] = json!([link(&chassis_path())]);
    for name in ["Processors", "Memory", "Storage", "SecureBoot"] {
        system[name] = link(&format!("{path}/{name}"));
    }
    if !personality.ports_in_chassis {
        system["EthernetInterfaces"] = link(&format!("{path}/EthernetInterfaces"));
    }
}

/// The resource at `path`, if it describes hardware.
pub(crate) fn resource(personality: &Personality, bios: &str, path: &str) -> Option<Value> {
    let mut value = match path.strip_prefix(&system_path(personality)) {
        Some(place) => system_resource(personality, path, place)?,
        None => other_resource(personality, bios, path, path.strip_prefix(ROOT)?)?,
    };
    if value.get("@odata.id").is_none() {
        value["@odata.id"] = json!(path);
        value["Id"] = json!(path.rsplit('/').next());
        value["Status"] = value.get("Status").cloned().unwrap_or_else(healthy);
    }
    Some(value)
}

fn healthy() -> Value {
    json!({"State": "Enabled", "Health": "OK"})
}

fn list(path: &str, kind: &str, names: &[&str]) -> Value {
    let members: Vec<_> = names.iter().map(|name| format!("{path}/{name}")).collect();
    collection(path, kind, &members)
}

fn system_resource(personality: &Personality, path: &str, place: &str) -> Option<Value> {
    let databases = "/SecureBoot/SecureBootDatabases";
    if let Some(place) = place.strip_prefix(databases) {
        return match place {
            "" => Some(list(path, "SecureBootDatabase", &["db", "dbx"])),
            "/db" | "/dbx" => Some(json!({
                "DatabaseId": place.get(1..),
                "Certificates": link(&format!("{path}/Certificates")),
            })),
            "/db/Certificates" => Some(list(path, "Certificate", &["1", "2"])),
            "/dbx/Certificates" => Some(list(path, "Certificate", &["3"])),
            "/db/Certificates/1" => Some(certificate("Microsoft Corporation UEFI CA 2011")),
            "/db/Certificates/2" => Some(certificate("Microsoft UEFI CA 2023")),
            "/dbx/Certificates/3" => Some(certificate("Revoked")),
            _ => None,
        };
    }
    match place {
        "/Processors" => Some(list(path, "Processor", &["CPU1", "CPU2"])),
        "/Processors/CPU1" | "/Processors/CPU2" => Some(json!({
            "Name": "Processor",
            "Manufacturer": personality.manufacturer,
            "Model": "Processor 9000",
            "TotalCores": 32,
        })),
        "/Memory" => Some(list(path, "Memory", &["A1", "B1"])),
        "/Memory/A1" => Some(json!({
            "Name": "DIMM A1",
            "CapacityMiB": 65_536,
            "MemoryDeviceType": "DDR5",
            "PartNumber": "M321",
            "SerialNumber": "MEM-1",
        })),
        "/Memory/B1" => Some(json!({"Name": "DIMM B1", "Status": {"State": "Absent"}})),
        "/Storage" => Some(list(path, "Storage", &["RAID1"])),
        "/Storage/RAID1" => {
            let drives = ["0", "1"].map(|id| link(&format!("{}/Drives/{id}", chassis_path())));
            Some(json!({"Name": "Controller", "Drives": drives}))
        }
        "/EthernetInterfaces" if !personality.ports_in_chassis => {
            Some(list(path, "EthernetInterface", &["NIC1"]))
        }
        "/EthernetInterfaces/NIC1" if !personality.ports_in_chassis => Some(json!({
            "Name": "Port 1",
            "PermanentMACAddress": "00:53:00:12:34:56",
            "MACAddress": "02:53:00:12:34:56",
            "LinkStatus": "LinkUp",
        })),
        "/SecureBoot" => Some(json!({
            "Name": "Secure Boot",
            "SecureBootEnable": true,
            "SecureBootCurrentBoot": "Enabled",
            "SecureBootDatabases": link(&format!("{path}/SecureBootDatabases")),
        })),
        _ => None,
    }
}

fn other_resource(personality: &Personality, bios: &str, path: &str, place: &str) -> Option<Value> {
    match place {
        "/Chassis/1" => Some(json!({"NetworkAdapters": link(&format!("{path}/NetworkAdapters"))})),
        "/Chassis/1/Drives/0" | "/Chassis/1/Drives/1" => Some(json!({
            "Name": "Drive",
            "Model": "Drive 960",
            "SerialNumber": format!("DRIVE-{}", path.rsplit('/').next()?),
            "CapacityBytes": 960_197_124_096_u64,
            "MediaType": "SSD",
            "Protocol": "NVMe",
            "Revision": "GDC7",
        })),
        "/Chassis/1/NetworkAdapters" => Some(list(path, "NetworkAdapter", &["OCP"])),
        "/Chassis/1/NetworkAdapters/OCP" => Some(json!({
            "NetworkDeviceFunctions": link(&format!("{path}/NetworkDeviceFunctions")),
        })),
        "/Chassis/1/NetworkAdapters/OCP/NetworkDeviceFunctions" => {
            Some(list(path, "NetworkDeviceFunction", &["1"]))
        }
        "/Chassis/1/NetworkAdapters/OCP/NetworkDeviceFunctions/1" => Some(json!({
            "Name": "Function 1",
            "Ethernet": {"PermanentMACAddress": "00:53:00:AB:CD:EF"},
        })),
        "/UpdateService" => Some(json!({
            "Name": "Update Service",
            "ServiceEnabled": true,
            "FirmwareInventory": link(&format!("{path}/FirmwareInventory")),
            "Actions": {"#UpdateService.SimpleUpdate": {"target": simple_update_path()}},
        })),
        "/UpdateService/FirmwareInventory" => {
            Some(list(path, "SoftwareInventory", &["BIOS", "BMC"]))
        }
        "/UpdateService/FirmwareInventory/BIOS" => Some(json!({
            "Name": "BIOS",
            "Version": bios,
            "Updateable": true,
            "Manufacturer": personality.manufacturer,
        })),
        "/UpdateService/FirmwareInventory/BMC" => {
            Some(json!({"Name": "BMC", "Version": "0.0.0", "Updateable": true}))
        }
        _ => None,
    }
}

/// The version in the name of the image of a `SimpleUpdate`, such as `bios-2.0.0.bin`.
pub(crate) fn updated_version(
    personality: &Personality,
    body: &Value,
) -> Result<String, Box<Answer>> {
    let refused = |id: &str, text: &str, about: &str| {
        Box::new(refusal(StatusCode::BAD_REQUEST, id, text, &[about]))
    };
    if personality.requires_protocol && body.get("TransferProtocol").is_none() {
        let (id, text) = ("Base.1.18.ActionParameterMissing", "The action requires the parameter");
        return Err(refused(id, text, "TransferProtocol"));
    }
    let image = body.get("ImageURI").and_then(Value::as_str).unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let version = name.strip_suffix(".bin").and_then(|name| name.rsplit_once('-'));
    let (_, version) =
        version.ok_or_else(|| refused("Update.1.0.ApplyFailed", "This is no image:", image))?;
    Ok(version.to_owned())
}

fn certificate(name: &str) -> Value {
    json!({"Name": "Certificate", "Subject": {"CommonName": name}})
}
