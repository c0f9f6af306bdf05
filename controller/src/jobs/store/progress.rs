// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Progress of a job, stored by its worker before the next action. If the worker lost its lease or
//! the job was ended, these functions return [`StoreError::Lost`] and change nothing.

use rusqlite::{Connection, Params, params};

use super::{StoreError, clip, insert_event};
use crate::jobs::bmc::{Failure, Retry};
use crate::jobs::clock;
use crate::jobs::model::{Phase, Step};

/// A job and the worker that holds its lease.
#[derive(Debug, Clone)]
pub struct LeasedJob {
    /// Row number of the job.
    pub number: i64,
    /// Lease owner.
    pub owner: String,
}

/// Runs an UPDATE whose first two parameters are job and owner; it must match.
fn update(connection: &Connection, sql: &str, params: impl Params) -> Result<(), StoreError> {
    match connection.prepare_cached(sql)?.execute(params)? {
        1 => Ok(()),
        _ => Err(StoreError::Lost),
    }
}

/// Sets queued → provisioning.
pub fn begin(connection: &Connection, held: &LeasedJob) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = 'provisioning', phase = 'boot', spent_ms = 0 \
               WHERE number = ?1 AND lease_owner = ?2 AND state = 'queued'";
    update(connection, sql, params![held.number, held.owner])?;
    insert_event(connection, held.number, "state.provisioning", None, "worker started")
}

/// Stores the start of a step. Steps of clean-up follow the outcome.
pub fn start_step(
    connection: &Connection,
    held: &LeasedJob,
    step: &Step,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET step = ?3 WHERE number = ?1 AND lease_owner = ?2 AND \
               ((state = 'provisioning') = (?4 = 0)) AND state IN ('provisioning', 'succeeded', 'failed')";
    let cleanup = step.is_cleanup();
    update(connection, sql, params![held.number, held.owner, step, cleanup])?;
    insert_event(connection, held.number, "step", Some(step), "started")
}

/// Stores that clean-up has media to eject.
pub fn start_mount(connection: &Connection, held: &LeasedJob) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET mounted = 1 WHERE number = ?1 AND lease_owner = ?2 AND \
               state = 'provisioning'";
    update(connection, sql, params![held.number, held.owner])?;
    start_step(connection, held, &Step::RedfishDiscover)
}

/// Returns the reset column of a phase and its step.
fn reset(phase: Phase) -> (&'static str, Step) {
    match phase {
        Phase::Cleanup => ("cleanup_reset", Step::CleanupReset),
        Phase::Boot | Phase::Webhook => ("boot_reset", Step::RedfishReset),
    }
}

/// Stores that a reset will be requested. Called before the request, and never undone.
pub fn begin_reset(
    connection: &Connection,
    held: &LeasedJob,
    phase: Phase,
) -> Result<(), StoreError> {
    let (column, step) = reset(phase);
    start_step(connection, held, &step)?;
    let sql = format!(
        "UPDATE jobs SET {column} = 'begun' WHERE number = ?1 AND lease_owner = ?2 AND {column} = 'none'"
    );
    update(connection, &sql, params![held.number, held.owner])
}

/// Stores that the BMC accepted the reset.
pub fn finish_reset(
    connection: &Connection,
    held: &LeasedJob,
    phase: Phase,
) -> Result<(), StoreError> {
    let (column, step) = reset(phase);
    let sql = format!(
        "UPDATE jobs SET {column} = 'done' WHERE number = ?1 AND lease_owner = ?2 AND {column} = 'begun'"
    );
    update(connection, &sql, params![held.number, held.owner])?;
    insert_event(connection, held.number, "reset", Some(&step), "the BMC accepted the reset")
}

/// Starts the next phase with a new budget.
pub fn enter_phase(
    connection: &Connection,
    held: &LeasedJob,
    phase: Phase,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET phase = ?3, spent_ms = 0 \
               WHERE number = ?1 AND lease_owner = ?2 AND phase <> ?3 AND state = 'provisioning'";
    update(connection, sql, params![held.number, held.owner, phase])
}

/// Sets provisioning → failed. A failure of clean-up does not change the outcome.
pub fn fail(
    connection: &Connection,
    held: &LeasedJob,
    failure: &Failure,
) -> Result<(), StoreError> {
    let Failure { step, message, retry } = failure;
    let message = clip(message);
    if step.is_cleanup() {
        let sql = "UPDATE jobs SET failed_step = coalesce(failed_step, ?3), failure = coalesce(failure, ?4) \
                   WHERE number = ?1 AND lease_owner = ?2 AND state IN ('succeeded', 'failed')";
        update(connection, sql, params![held.number, held.owner, step, message])?;
        return insert_event(connection, held.number, "cleanup.failed", Some(step), message);
    }
    let sql = "UPDATE jobs SET state = 'failed', outcome = 'failed', failed_step = ?3, failure = ?4, \
               phase = 'cleanup', spent_ms = 0, mounted = mounted AND NOT ?5 \
               WHERE number = ?1 AND lease_owner = ?2 AND state IN ('queued', 'provisioning')";
    // Without inserted media, clean-up would only log in again.
    let is_denied = *retry == Retry::Denied && *step == Step::RedfishDiscover;
    update(connection, sql, params![held.number, held.owner, step, message, is_denied])?;
    insert_event(connection, held.number, "state.failed", Some(step), message)
}

/// Sets succeeded or failed → complete.
pub fn complete(connection: &Connection, held: &LeasedJob) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = 'complete', completed_at = ?3, lease_owner = NULL, \
               lease_until = NULL \
               WHERE number = ?1 AND lease_owner = ?2 AND state IN ('succeeded', 'failed')";
    update(connection, sql, params![held.number, held.owner, clock::now()])?;
    insert_event(connection, held.number, "state.complete", None, "clean-up done")
}

/// Stores a failed attempt that will be retried.
pub fn note_retry(
    connection: &Connection,
    held: &LeasedJob,
    failure: &Failure,
) -> Result<(), StoreError> {
    note(connection, held, "retry", &failure.step, &failure.message)
}

/// Stores a progress message.
pub fn note(
    connection: &Connection,
    held: &LeasedJob,
    kind: &str,
    step: &Step,
    message: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET updated_at = updated_at WHERE number = ?1 AND lease_owner = ?2";
    update(connection, sql, params![held.number, held.owner])?;
    insert_event(connection, held.number, kind, Some(step), message)
}
