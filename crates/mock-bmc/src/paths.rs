// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Paths of the resources, and the links to them.

use serde_json::{Value, json};

use crate::personality::{MediaLocation, Personality};

pub(crate) const ROOT: &str = "/redfish/v1";

pub(crate) fn system_path(personality: &Personality) -> String {
    format!("{ROOT}/Systems/{}", personality.system)
}

/// The settings resource of the system, if changes go there.
pub(crate) fn settings_path(personality: &Personality) -> String {
    format!("{}/SD", system_path(personality))
}

pub(crate) fn manager_path(personality: &Personality) -> String {
    format!("{ROOT}/Managers/{}", personality.manager)
}

pub(crate) fn media_path(personality: &Personality) -> String {
    let owner = match personality.media_location {
        MediaLocation::Manager => manager_path(personality),
        MediaLocation::System => system_path(personality),
    };
    format!("{owner}/VirtualMedia")
}

pub(crate) fn collection(path: &str, kind: &str, members: &[String]) -> Value {
    let members: Vec<_> = members.iter().map(|member| link(member)).collect();
    json!({
        "@odata.id": path,
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "Name": format!("{kind} Collection"),
        "Members@odata.count": members.len(),
        "Members": members,
    })
}

pub(crate) fn link(path: &str) -> Value {
    json!({ "@odata.id": path })
}
