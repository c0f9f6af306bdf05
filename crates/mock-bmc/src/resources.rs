// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The resources as JSON documents.

use serde_json::{Value, json};

use crate::hardware;
use crate::machine::{Drive, Machine};
use crate::paths::{ROOT, link, manager_path, media_path, settings_path, system_path};
use crate::personality::{MediaLocation, MediaMethod, Personality};

pub(crate) fn root(personality: &Personality) -> Value {
    let mut root = json!({
        "@odata.id": "/redfish/v1/",
        "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.18.0",
        "UUID": "92384634-2938-2342-8820-489239905423",
        "Systems": link(&format!("{ROOT}/Systems")),
        "Managers": link(&format!("{ROOT}/Managers")),
        "UpdateService": link(&hardware::update_service_path()),
        "Links": {},
    });
    if personality.sessions > 0 {
        root["SessionService"] = link(&format!("{ROOT}/SessionService"));
        root["Links"]["Sessions"] = link(&format!("{ROOT}/SessionService/Sessions"));
    }
    if let Some(vendor) = personality.vendor {
        root["Vendor"] = json!(vendor);
        root["Oem"] = json!({ vendor: {} });
    }
    root
}

pub(crate) fn session_service() -> Value {
    json!({
        "@odata.id": format!("{ROOT}/SessionService"),
        "@odata.type": "#SessionService.v1_1_9.SessionService",
        "Id": "SessionService",
        "Name": "Session Service",
        "ServiceEnabled": true,
        "SessionTimeout": 1800,
        "Sessions": link(&format!("{ROOT}/SessionService/Sessions")),
    })
}

pub(crate) fn system(personality: &Personality, machine: &Machine, serial: &str) -> Value {
    let path = system_path(personality);
    let board =
        if personality.serial_as_sku { format!("CN{serial}BOARD") } else { serial.to_owned() };
    let mut system = json!({
        "@odata.id": path,
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": personality.system,
        "Name": "System",
        "SystemType": "Physical",
        "Manufacturer": personality.manufacturer,
        "SerialNumber": board,
        "PowerState": machine.power(),
        "Status": {"State": "Enabled", "Health": "OK"},
        "Boot": {
            "BootSourceOverrideEnabled": machine.enabled,
            "BootSourceOverrideTarget": machine.target,
            "BootSourceOverrideMode": machine.mode,
        },
        "Links": {"ManagedBy": [link(&manager_path(personality))]},
        "Actions": {"#ComputerSystem.Reset": {
            "target": format!("{path}/Actions/ComputerSystem.Reset"),
            "ResetType@Redfish.AllowableValues": personality.resets,
        }},
    });
    if personality.boot_in_settings {
        system["@Redfish.Settings"] = json!({
            "@odata.type": "#Settings.v1_3_5.Settings",
            "SettingsObject": link(&settings_path(personality)),
        });
    }
    hardware::describe_system(personality, &machine.bios, &mut system);
    if personality.serial_as_sku {
        system["SKU"] = json!(serial);
    }
    if !personality.boot_targets.is_empty() {
        system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] =
            json!(personality.boot_targets);
    }
    if personality.reports_reset {
        let count = machine.starts;
        let time = format!("2026-01-01T{:02}:{:02}:00+00:00", count / 60 % 24, count % 60);
        system["LastResetTime"] = json!(time);
    }
    if personality.media_location == MediaLocation::System {
        system["VirtualMedia"] = link(&media_path(personality));
    }
    system
}

pub(crate) fn manager(personality: &Personality) -> Value {
    let mut manager = json!({
        "@odata.id": manager_path(personality),
        "@odata.type": "#Manager.v1_19_0.Manager",
        "Id": personality.manager,
        "Name": "Manager",
        "ManagerType": "BMC",
        "FirmwareVersion": "0.0.0",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"ManagerForServers": [link(&system_path(personality))]},
    });
    if personality.media_location == MediaLocation::Manager {
        manager["VirtualMedia"] = link(&media_path(personality));
    }
    manager
}

/// A slot as reported. Each read of a stale slot reduces its staleness.
pub(crate) fn slot(personality: &Personality, index: usize, drive: &mut Drive) -> Option<Value> {
    let kind = personality.slots.get(index)?;
    let path = format!("{}/{}", media_path(personality), kind.id);
    let mut shown = drive.image.clone();
    if let Some((stale, reads)) = drive.stale.take()
        && shown.is_none()
    {
        shown = Some(stale.clone());
        if reads > 1 {
            drive.stale = Some((stale, reads - 1));
        }
    }
    let name = shown.as_deref().and_then(|image| image.rsplit('/').next());
    let mut slot = json!({
        "@odata.id": path,
        "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia",
        "Id": kind.id,
        "Name": format!("Virtual media {}", kind.id),
        "MediaTypes": kind.types,
        "Image": shown,
        "ImageName": name,
        "Inserted": shown.is_some(),
        "WriteProtected": true,
        "ConnectedVia": if shown.is_some() { "URI" } else { "NotConnected" },
    });
    if personality.media_method == MediaMethod::Action && !kind.inert {
        let action = |name: &str| json!({"target": format!("{path}/Actions/VirtualMedia.{name}")});
        slot["Actions"] = json!({
            "#VirtualMedia.InsertMedia": action("InsertMedia"),
            "#VirtualMedia.EjectMedia": action("EjectMedia"),
        });
    }
    Some(slot)
}
