// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/servers/{serial}/operations` and `…/hardware`: power, firmware, inspection and its
//! result.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use rusqlite::Connection;

use super::extract::{Caller, Operator, Path, RawBody, Reader};
use super::problem::Problem;
use super::reply::Json;
use super::views::{Hardware, NewOperation, Operation};
use super::{Api, SMALL_BODY};
use crate::audit::{Action, Entry};
use crate::blocking::IMAGES;
use crate::database::DatabaseError;
use crate::hardware;
use crate::inventory;
use crate::jobs::bmc::Secret;
use crate::jobs::store::StoreError;
use crate::operations::{self, Kind};

/// How long a BMC may pull a firmware image.
const IMAGE_VALIDITY: Duration = Duration::from_hours(2);

impl Kind {
    fn action(self) -> Action {
        match self {
            Self::Inspect => Action::ServerInspect,
            Self::PowerOn | Self::PowerOff | Self::PowerCycle | Self::PowerReset => {
                Action::ServerPower
            }
            Self::FirmwareUpdate => Action::ServerFirmware,
        }
    }
}

/// `POST /api/v1/servers/{serial}/operations`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller<Operator>,
    Path(serial): Path<String>,
    sent: RawBody<SMALL_BODY>,
) -> Result<Json<Operation>, Problem> {
    let NewOperation { kind, image } = sent.parse()?;
    let url = match (kind, &image) {
        (Kind::FirmwareUpdate, Some(name)) => Some(firmware_url(&api, name.clone()).await?),
        (Kind::FirmwareUpdate, None) => {
            return Err(Problem::bad_request("image: is required for a firmware update"));
        }
        (_, Some(_)) => return Err(Problem::bad_request("image: only for a firmware update")),
        (_, None) => None,
    };
    let keys = api.database.keys();
    let start = move |c: &Connection| {
        let Some(server) = inventory::find(c, &caller.scope, &serial)? else {
            return Err(StoreError::NoServer(serial));
        };
        let operation = operations::start(c, &serial, kind, image, &caller.name)?;
        let target = server.target(&keys).map_err(DatabaseError::from)?;
        let entry = caller.entry(kind.action(), Some(serial));
        let detail = match &operation.image {
            Some(image) => format!("{kind} {image}"),
            None => kind.to_string(),
        };
        Ok(((operation, target), Some(Entry { detail: Some(detail), ..entry })))
    };
    let (operation, target) = api.audit.change(start).await?;
    tracing::info!(serial = operation.serial, %kind, user = operation.created_by, "operation");
    let services = (api.database.clone(), api.runner.bmc(), Arc::clone(&api.metrics));
    tokio::spawn(operations::run(services, operation.clone(), target, url));
    Ok(Json(StatusCode::ACCEPTED, operation.into()))
}

/// Returns the signed URL of a firmware image.
async fn firmware_url(api: &Api, name: String) -> Result<Secret, Problem> {
    let publisher = api.runner.publisher();
    // An unknown image is hashed.
    let url = IMAGES.run(move || publisher.firmware(&name, IMAGE_VALIDITY)).await;
    let url = url.map_err(|error| Problem::internal(&error))?;
    url.map_err(|error| Problem::bad_request(format!("image: {error}")))
}

/// `GET /api/v1/servers/{serial}/hardware`
pub(super) async fn hardware(
    State(api): State<Api>,
    Caller { scope, .. }: Caller<Reader>,
    Path(serial): Path<String>,
) -> Result<Json<Hardware>, Problem> {
    let find = move |c: &Connection| {
        if inventory::find(c, &scope, &serial)?.is_none() {
            return Err(StoreError::NoServer(serial));
        }
        let found = hardware::find(c, &serial)?;
        Ok(found.map(|found| Hardware::new(serial, &found)).transpose()?)
    };
    let hardware = api.database.read(find).await?;
    let unknown = "the hardware is unknown; fix: controller servers inspect SERIAL";
    let hardware = hardware.ok_or_else(|| Problem::not_found("hardware_unknown", unknown))?;
    Ok(Json(StatusCode::OK, hardware))
}
