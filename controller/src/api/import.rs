// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `POST /api/v1/servers`: registers many servers, all or none.

use axum::extract::State;
use axum::http::StatusCode;
use recipe::ShortText;
use rusqlite::Connection;

use super::Api;
use super::extract::{Caller, Operator, RawBody};
use super::problem::Problem;
use super::reply::Json;
use super::servers::invalid;
use super::views::{Detail, ImportResult, MOST_SERVERS, NewServers};

/// Maximum request size in bytes: a server with a CA certificate has about 3 KiB.
const LARGEST: usize = 4 * 1024 * 1024;
/// Maximum number of reported faults.
const MOST_FAULTS: usize = 100;

/// `POST /api/v1/servers`
pub(super) async fn import(
    State(api): State<Api>,
    caller: Caller<Operator>,
    sent: RawBody<LARGEST>,
) -> Result<Json<ImportResult>, Problem> {
    let result = put_all(&api, caller, sent).await;
    let counts = |result: &ImportResult| (result.created.len(), result.updated.len());
    api.metrics.count_import(result.as_ref().ok().map(counts));
    let result = result?;
    let (created, updated) = counts(&result);
    tracing::info!(created, updated, "servers imported");
    Ok(Json(StatusCode::OK, result))
}

async fn put_all(
    api: &Api,
    caller: Caller<Operator>,
    sent: RawBody<LARGEST>,
) -> Result<ImportResult, Problem> {
    let NewServers { servers } = sent.parse()?;
    let (mut checked, mut faults) = (Vec::new(), Vec::new());
    if !(1..=MOST_SERVERS).contains(&servers.len()) {
        let message = format!("must have 1 to {MOST_SERVERS} servers");
        faults.push(Detail::new("/servers", "length", message));
    }
    for (serial, server) in servers {
        let place = place(&serial);
        if let Err(error) = serial.parse::<ShortText>() {
            faults.push(Detail::new(&place, "format", error.to_string()));
        }
        match server.check(&place, &api.profiles) {
            Ok(server) => checked.push((serial, server)),
            Err(more) => faults.extend(more),
        }
    }
    refuse(faults)?;
    let keys = api.database.keys();
    let put = move |c: &Connection| {
        let mut faults = Vec::new();
        for (serial, server) in &checked {
            if let Some(message) = server.missing_password(c, serial, &caller)? {
                faults.push(Detail::new(place(serial) + "/password", "required", message));
            }
        }
        let mut entries = Vec::new();
        if !faults.is_empty() {
            return Ok((Err(faults), entries));
        }
        let mut result = ImportResult { created: Vec::new(), updated: Vec::new() };
        for (serial, server) in checked {
            // An error rolls back the servers before.
            let (new, _, entry) = server.put(c, &keys, &serial, &caller)?;
            let list = if new { &mut result.created } else { &mut result.updated };
            list.push(serial);
            entries.push(entry);
        }
        Ok((Ok(result), entries))
    };
    api.audit.change(put).await?.map_err(many_invalid)
}

/// JSON pointer of a server in the request (RFC 6901).
fn place(serial: &str) -> String {
    format!("/servers/{}", serial.replace('~', "~0").replace('/', "~1"))
}

fn refuse(faults: Vec<Detail>) -> Result<(), Problem> {
    if faults.is_empty() { Ok(()) } else { Err(many_invalid(faults)) }
}

fn many_invalid(mut faults: Vec<Detail>) -> Problem {
    faults.truncate(MOST_FAULTS);
    invalid(faults)
}
