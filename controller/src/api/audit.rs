// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/audit`: who changed what, and who was refused. For admins alone.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::auth::Role;
use super::problem::Problem;
use super::{Api, Caller, Query, json};
use crate::audit::{self, Recorded};
use crate::jobs::clock::rfc3339;

/// Entries in an answer: unless asked for otherwise, and at most.
const PAGE: (u32, u32) = (100, 1000);

fn describe(entry: &Recorded) -> Value {
    let Recorded { number, at, kind, actor, address, action, object, detail } = entry;
    json!({
        "number": number,
        "at": rfc3339(*at),
        "kind": kind,
        "actor": actor,
        "address": address,
        "action": action,
        "object": object,
        "detail": detail,
    })
}

/// `GET /api/v1/audit?limit=…&before=…`
pub(super) async fn list(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    api.authorize(Caller::of(&request), Role::Admin).await?;
    let query = Query::parse(&request, &["limit", "before"])?;
    let before = query.read::<i64>("before")?.unwrap_or(i64::MAX);
    let limit = query.limit(PAGE)?;
    let entries = api.database.read(move |c| audit::list(c, before, limit)).await?;
    let full = usize::try_from(limit).is_ok_and(|limit| entries.len() == limit);
    let next = entries.last().filter(|_| full).map(|entry| entry.number);
    let entries: Vec<Value> = entries.iter().map(describe).collect();
    Ok(json(StatusCode::OK, &json!({ "entries": entries, "next_before": next })))
}
