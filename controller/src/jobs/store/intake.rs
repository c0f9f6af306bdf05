// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! User requests: create, retry and cancel jobs.

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Job, StoreError, active, by_id, by_number, insert_event};
use crate::database::rows;
use crate::hardware::{self, Loader};
use crate::inventory;
use crate::jobs::clock;
use crate::jobs::model::{JobId, Outcome, State, Step};
use crate::labels::Scope;
use crate::operations::request::Kind;

/// Maximum number of warnings stored with a job.
const MOST_WARNINGS: usize = 64;

/// Refuses a server with a running operation.
///
/// # Errors
/// [`StoreError::Operating`], or if the database fails.
pub fn require_no_operation(connection: &Connection, serial: &str) -> Result<(), StoreError> {
    let sql = "SELECT kind FROM operations WHERE serial = ?1 AND state = 'running'";
    let kind: Option<Kind> =
        connection.prepare_cached(sql)?.query_row([serial], |row| row.get("kind")).optional()?;
    match kind {
        Some(kind) => Err(StoreError::Operating { serial: serial.to_owned(), kind }),
        None => Ok(()),
    }
}

/// A job to be created from a validated recipe.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Serial number of the host.
    pub serial: String,
    /// The recipe as received.
    pub recipe: Vec<u8>,
    /// SHA-256 of the recipe.
    pub recipe_sha256: String,
    /// `$id` of the schema that validated it.
    pub schema_id: String,
    /// Target of the task.
    pub task_target: String,
    /// Probable mistakes in the recipe: one event each.
    pub warnings: Vec<String>,
    /// The failed job that this one retries.
    pub retry_of: Option<JobId>,
    /// Requesting user.
    pub user: String,
    /// Idempotency key and digest of the request.
    pub idempotency: Option<(String, String)>,
}

/// Result of a request for a job.
#[derive(Debug, Clone)]
pub struct Created {
    /// The job.
    pub job: Job,
    /// Whether an earlier request with the same key created it.
    pub repeated: bool,
}

/// Creates a job, or returns the one that an earlier request with the same key created.
pub fn create(connection: &Connection, new: &NewJob) -> Result<Created, StoreError> {
    if let Some((key, digest)) = &new.idempotency {
        let sql = "SELECT request_sha256, job FROM idempotency WHERE user = ?1 AND key = ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let found: Option<(String, i64)> = statement
            .query_row([&new.user, key], |row| Ok((row.get("request_sha256")?, row.get("job")?)))
            .optional()?;
        if let Some((earlier, job)) = found {
            if earlier != *digest {
                return Err(StoreError::KeyReused);
            }
            return Ok(Created { job: by_number(connection, job)?, repeated: true });
        }
    }
    if inventory::find(connection, &Scope::ALL, &new.serial)?.is_none() {
        return Err(StoreError::NoServer(new.serial.clone()));
    }
    if let Some(job) = active(connection, &new.serial)? {
        return Err(StoreError::Active { serial: new.serial.clone(), job: job.id });
    }
    require_no_operation(connection, &new.serial)?;
    let (id, now) = (JobId::random(), clock::now());
    let values = named_params! {
        ":id": id,
        ":serial": new.serial,
        ":state": State::Queued,
        ":recipe": new.recipe,
        ":recipe_sha256": new.recipe_sha256,
        ":schema_id": new.schema_id,
        ":task_target": new.task_target,
        ":retry_of": new.retry_of,
        ":created_by": new.user,
        ":created_at": now,
        ":updated_at": now,
    };
    rows::insert(connection, "jobs", values)?;
    let number = connection.last_insert_rowid();
    let of = new.retry_of.map(|of| format!(", retry of {of}")).unwrap_or_default();
    let message = format!(
        "created by {}{of}: {}, recipe of {} bytes, SHA-256 {}",
        new.user,
        new.task_target,
        new.recipe.len(),
        new.recipe_sha256
    );
    insert_event(connection, number, "state.queued", None, &message)?;
    let refused = refused_loaders(connection, new)?;
    for warning in new.warnings.iter().chain(&refused).take(MOST_WARNINGS) {
        insert_event(connection, number, "warning", None, warning)?;
    }
    if let Some((key, digest)) = &new.idempotency {
        let values = named_params! {
            ":user": new.user,
            ":key": key,
            ":request_sha256": digest,
            ":job": number,
            ":created_at": now,
        };
        rows::insert(connection, "idempotency", values)?;
    }
    Ok(Created { job: by_number(connection, number)?, repeated: false })
}

/// Warnings of the last inspection about boot loaders that the job needs.
fn refused_loaders(connection: &Connection, new: &NewJob) -> Result<Vec<String>, StoreError> {
    let Some(hardware) = hardware::find(connection, &new.serial)? else { return Ok(Vec::new()) };
    let loaders: &[Loader] = match new.task_target.as_str() {
        "install-windows.target" => &Loader::ALL,
        // Every job boots the maintenance OS.
        _ => &[Loader::Shim],
    };
    Ok(hardware::secure_boot_warnings(&hardware.parse()?.0.components, loaders))
}

/// Returns the request that retries a failed job with the same `recipe`.
pub fn retry(connection: &Connection, id: JobId, user: &str) -> Result<NewJob, StoreError> {
    let job = by_id(connection, id)?;
    match (job.state, job.outcome) {
        (State::Complete, Some(Outcome::Failed)) => {}
        (State::Complete, _) => {
            return Err(StoreError::State("successful, only failed jobs can be retried"));
        }
        (..) => return Err(StoreError::State("not complete yet")),
    }
    Ok(NewJob {
        serial: job.serial,
        recipe: super::recipe(connection, job.number)?,
        recipe_sha256: job.recipe_sha256,
        schema_id: job.schema_id,
        task_target: job.task_target,
        // Warnings are events of the failed job.
        warnings: Vec::new(),
        retry_of: Some(id),
        user: user.to_owned(),
        idempotency: None,
    })
}

/// Cancels a job. An unclaimed job completes at once; otherwise its worker cleans up.
pub fn cancel(connection: &Connection, id: JobId, user: &str) -> Result<Job, StoreError> {
    let job = by_id(connection, id)?;
    match job.state {
        State::Complete => return Err(StoreError::State("already complete")),
        State::Succeeded | State::Failed => {
            return Err(StoreError::State("already being cleaned up"));
        }
        State::Queued | State::Provisioning if job.cancelled => return Ok(job),
        State::Queued | State::Provisioning => {}
    }
    let sql = "UPDATE jobs SET cancelled = 1, cancelled_by = ?2 WHERE number = ?1";
    connection.prepare_cached(sql)?.execute(params![job.number, user])?;
    insert_event(connection, job.number, "cancel", None, &format!("requested by {user}"))?;
    let sql = "UPDATE jobs SET state = 'complete', outcome = 'failed', failed_step = ?2, \
               failure = 'cancelled', completed_at = ?3 \
               WHERE number = ?1 AND state = 'queued' AND lease_owner IS NULL";
    let now = clock::now();
    let ended =
        connection.prepare_cached(sql)?.execute(params![job.number, Step::IsoBuild, now])?;
    if ended == 1 {
        let message = "cancelled before it started";
        insert_event(connection, job.number, "state.failed", Some(&Step::IsoBuild), message)?;
        insert_event(connection, job.number, "state.complete", None, "nothing to clean up")?;
    }
    by_number(connection, job.number)
}
