// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The hardware that the BMC lists: processors, memory, drives, network ports, firmware, Secure Boot.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, refusal};
use crate::paths::{ROOT, collection, link, system_path};
use crate::personality::Personality;

/// Resources by path, with `{system}`, `{manufacturer}` and `{bios}` in place of what depends on the
/// BMC. `collection` is the kind of the members. The first entry has the fields of the system.
const RESOURCES: &str = include_str!("hardware.json");

pub(crate) fn update_service_path() -> String {
    format!("{ROOT}/UpdateService")
}

pub(crate) fn simple_update_path() -> String {
    format!("{}/Actions/UpdateService.SimpleUpdate", update_service_path())
}

fn find(personality: &Personality, bios: &str, path: &str) -> Option<Value> {
    // Without this list, the ports are below the chassis only.
    if personality.ports_in_chassis && path.contains("/EthernetInterfaces") {
        return None;
    }
    let resources = RESOURCES
        .replace("{system}", &system_path(personality))
        .replace("{manufacturer}", personality.manufacturer)
        .replace("{bios}", bios);
    let mut resources: Map<String, Value> = serde_json::from_str(&resources).ok()?;
    resources.remove(path)
}

/// Adds the links to the hardware to the system.
pub(crate) fn describe_system(personality: &Personality, bios: &str, system: &mut Value) {
    system["Links"]["Chassis"] = json!([link(&format!("{ROOT}/Chassis/1"))]);
    let Some(Value::Object(fields)) = find(personality, bios, "system") else { return };
    for (name, value) in fields {
        if name != "EthernetInterfaces" || !personality.ports_in_chassis {
            system[name] = value;
        }
    }
}

/// The resource at `path`, if it describes hardware.
pub(crate) fn resource(personality: &Personality, bios: &str, path: &str) -> Option<Value> {
    let mut value = find(personality, bios, path).filter(|_| path.starts_with(ROOT))?;
    if let Some(kind) = value["collection"].as_str() {
        let names = value["members"].as_array()?.iter().filter_map(Value::as_str);
        let members: Vec<_> = names.map(|name| format!("{path}/{name}")).collect();
        return Some(collection(path, kind, &members));
    }
    value["@odata.id"] = json!(path);
    value["Id"] = json!(path.rsplit('/').next());
    if value.get("Status").is_none() {
        value["Status"] = json!({"State": "Enabled", "Health": "OK"});
    }
    Some(value)
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
