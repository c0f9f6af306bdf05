// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/audit`: the audit log, for admins only.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::Api;
use super::extract::{Admin, Caller, Limit, Query};
use super::problem::Problem;
use super::reply::Json;
use super::views::{AuditEntry, AuditList};
use crate::audit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ListQuery {
    /// Maximum number of entries.
    #[serde(default)]
    limit: Limit<100, 1000>,
    /// Only entries before this number: `next_before` of the previous page.
    before: Option<i64>,
}

/// `GET /api/v1/audit?limit=…&before=…`
pub(super) async fn list(
    State(api): State<Api>,
    _: Caller<Admin>,
    Query(ListQuery { limit, before }): Query<ListQuery>,
) -> Result<Json<AuditList>, Problem> {
    let before = before.unwrap_or(i64::MAX);
    let entries = api.database.read(move |c| audit::list(c, before, limit.get())).await?;
    let next_before = limit.next(&entries, |entry| entry.number);
    let entries = entries.into_iter().map(AuditEntry::from).collect();
    Ok(Json(StatusCode::OK, AuditList { entries, next_before }))
}
