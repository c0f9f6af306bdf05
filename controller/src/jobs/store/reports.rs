// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What machines report of themselves. A report may come twice, late, or for a job that is long over; it
//! may also come before the controller has written down that the machine was reset.

use rusqlite::{Connection, named_params, params};

use super::{Job, StoreError, event, job};
use crate::database::rows;
use crate::jobs::model::{JobId, Outcome, Reset, State, Step};

/// How many of the last delivery ids of a job are remembered.
pub const REMEMBERED_DELIVERIES: i64 = 32;

/// A report, checked for its form.
#[derive(Debug, Clone)]
pub struct Report {
    /// None: the machine is done. Some: the unit that failed first.
    pub failed: Option<Step>,
    /// Names the delivery, so that it can be repeated.
    pub delivery_id: Option<String>,
    /// The job.
    pub job_id: JobId,
    /// What else the machine tells of itself, for the event.
    pub details: String,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The job has its outcome from it.
    Recorded(JobId),
    /// It came before.
    Duplicate(JobId),
    /// The job had its outcome already.
    Ended(JobId),
    /// No such job of this server, or not one that a machine can know of.
    Unknown,
}

/// Takes a report of the machine `serial`.
pub fn report(connection: &Connection, serial: &str, report: &Report) -> Result<Taken, StoreError> {
    let of = params![serial, report.job_id];
    let Some(job) = job(connection, "serial = ?1 AND id = ?2", of)? else {
        return Ok(Taken::Unknown);
    };
    if let Some(id) = &report.delivery_id
        && delivered(connection, job.number, id)?
    {
        return Ok(Taken::Duplicate(job.id));
    }
    match job.state {
        State::Queued => return Ok(Taken::Unknown),
        // With the job's id, which only the task ISO tells, it is enough that the ISO was inserted: somebody
        // may have turned the machine off and on.
        State::Provisioning if job.boot_reset == Reset::None && !job.mounted => {
            return Ok(Taken::Unknown);
        }
        State::Provisioning => {}
        State::Succeeded | State::Failed | State::Complete => {
            remember(connection, job.number, report)?;
            ignored(connection, &job, report)?;
            return Ok(Taken::Ended(job.id));
        }
    }
    remember(connection, job.number, report)?;
    let (outcome, failure) = match &report.failed {
        None => (Outcome::Succeeded, None),
        Some(step) => (Outcome::Failed, Some(format!("the machine reports that {step} failed"))),
    };
    let sql = "UPDATE jobs SET state = ?2, outcome = ?2, failed_step = ?3, failure = ?4, \
               phase = 'cleanup', spent_ms = 0 WHERE number = ?1 AND state = 'provisioning'";
    let changes = params![job.number, outcome, report.failed, failure];
    connection.prepare_cached(sql)?.execute(changes)?;
    let kind = format!("state.{outcome}");
    let message = match failure {
        None => format!("the machine reports success{}", report.details),
        Some(failure) => format!("{failure}{}", report.details),
    };
    event(connection, job.number, &kind, report.failed.as_ref(), &message)?;
    Ok(Taken::Recorded(job.id))
}

/// Whether this delivery for the job `number` came before.
fn delivered(connection: &Connection, number: i64, delivery: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE job = ?1 AND delivery_id = ?2)";
    Ok(connection.prepare_cached(sql)?.query_row(params![number, delivery], |r| r.get(0))?)
}

fn remember(connection: &Connection, number: i64, report: &Report) -> Result<(), StoreError> {
    let Some(id) = &report.delivery_id else { return Ok(()) };
    let values = named_params! { ":job": number, ":delivery_id": id };
    rows::insert(connection, "deliveries", values)?;
    let sql = "DELETE FROM deliveries WHERE job = ?1 AND number NOT IN \
               (SELECT number FROM deliveries WHERE job = ?1 ORDER BY number DESC LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![number, REMEMBERED_DELIVERIES])?;
    Ok(())
}

/// Tells of a report that changes nothing, but not again and again.
fn ignored(connection: &Connection, job: &Job, report: &Report) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE job = ?1 AND kind = 'report.ignored')";
    if connection.prepare_cached(sql)?.query_row([job.number], |row| row.get(0))? {
        return Ok(());
    }
    let what = report.failed.as_ref().map_or_else(|| "success".to_owned(), Step::to_string);
    let message =
        format!("a report of {what} came when the job was {}; it changes nothing", job.state);
    event(connection, job.number, "report.ignored", None, &message)
}
