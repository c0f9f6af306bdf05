// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Host reports. A report may be repeated, late, for a job that has ended, or arrive before the
//! controller stored that the host was reset.

use rusqlite::{Connection, named_params, params};

use super::{Job, StoreError, clip, insert_event, job};
use crate::database::rows;
use crate::jobs::model::{JobId, Outcome, Reset, State, Step};

/// Number of stored delivery ids per job.
pub const REMEMBERED_DELIVERIES: i64 = 32;

/// A validated report.
#[derive(Debug, Clone)]
pub struct Report {
    /// None: success. Some: the unit that failed first.
    pub failed: Option<Step>,
    /// Id for deduplication.
    pub delivery_id: Option<String>,
    /// The job.
    pub job_id: JobId,
    /// Other fields of the report, for the event.
    pub details: String,
    /// End of the log of the unit that failed, or results of the task, redacted.
    pub log: Option<String>,
}

/// Result of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportReceipt {
    /// It set the outcome of the job.
    Recorded(JobId),
    /// The delivery was received before.
    Duplicate(JobId),
    /// The job already had an outcome.
    Ended(JobId),
    /// The server has no such job, or a host cannot have started it.
    Unknown,
}

/// Processes a report of host `serial`.
pub fn report(
    connection: &Connection,
    serial: &str,
    report: &Report,
) -> Result<ReportReceipt, StoreError> {
    let of = params![serial, report.job_id];
    let Some(job) = job(connection, "serial = ?1 AND id = ?2", of)? else {
        return Ok(ReportReceipt::Unknown);
    };
    if let Some(id) = &report.delivery_id
        && is_delivered(connection, job.number, id)?
    {
        return Ok(ReportReceipt::Duplicate(job.id));
    }
    match job.state {
        State::Queued => return Ok(ReportReceipt::Unknown),
        // The job id is only in the task ISO, so an inserted ISO suffices: somebody may have
        // power-cycled the host.
        State::Provisioning if job.boot_reset == Reset::None && !job.mounted => {
            return Ok(ReportReceipt::Unknown);
        }
        State::Provisioning => {}
        State::Succeeded | State::Failed | State::Complete => {
            insert_delivery(connection, job.number, report)?;
            note_ignored(connection, &job, report)?;
            return Ok(ReportReceipt::Ended(job.id));
        }
    }
    insert_delivery(connection, job.number, report)?;
    let (outcome, failure) = match &report.failed {
        None => (Outcome::Succeeded, None),
        Some(step) => (Outcome::Failed, Some(format!("the host reports that {step} failed"))),
    };
    let sql = "UPDATE jobs SET state = ?2, outcome = ?2, failed_step = ?3, failure = ?4, \
               phase = 'cleanup', spent_ms = 0 WHERE number = ?1 AND state = 'provisioning'";
    let changes = params![job.number, outcome, report.failed, failure];
    connection.prepare_cached(sql)?.execute(changes)?;
    let kind = format!("state.{outcome}");
    let message = match failure {
        None => format!("the host reports success{}", report.details),
        Some(failure) => format!("{failure}{}", report.details),
    };
    insert_event(connection, job.number, &kind, report.failed.as_ref(), &message)?;
    if let Some(log) = &report.log {
        insert_event(connection, job.number, "log", report.failed.as_ref(), clip(log))?;
    }
    Ok(ReportReceipt::Recorded(job.id))
}

/// Returns whether this delivery for job `number` was received before.
fn is_delivered(connection: &Connection, number: i64, delivery: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE job = ?1 AND delivery_id = ?2)";
    Ok(connection.prepare_cached(sql)?.query_row(params![number, delivery], |r| r.get(0))?)
}

fn insert_delivery(
    connection: &Connection,
    number: i64,
    report: &Report,
) -> Result<(), StoreError> {
    let Some(id) = &report.delivery_id else { return Ok(()) };
    let values = named_params! { ":job": number, ":delivery_id": id };
    rows::insert(connection, "deliveries", values)?;
    let sql = "DELETE FROM deliveries WHERE job = ?1 AND number NOT IN \
               (SELECT number FROM deliveries WHERE job = ?1 ORDER BY number DESC LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![number, REMEMBERED_DELIVERIES])?;
    Ok(())
}

/// Stores an event for the first report that changes nothing.
fn note_ignored(connection: &Connection, job: &Job, report: &Report) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE job = ?1 AND kind = 'report.ignored')";
    if connection.prepare_cached(sql)?.query_row([job.number], |row| row.get(0))? {
        return Ok(());
    }
    let what = report.failed.as_ref().map_or_else(|| "success".to_owned(), Step::to_string);
    let message = format!("ignored a report of {what}: the job is {}", job.state);
    insert_event(connection, job.number, "report.ignored", None, &message)
}
