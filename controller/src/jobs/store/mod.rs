// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs in the database. All functions run in the caller's transaction, so that a change and its
//! event are stored together.

mod intake;
mod leases;
mod progress;
mod reports;
mod retention;

use rusqlite::{Connection, OptionalExtension as _, Params, Row, named_params, params};

use super::clock;
use super::model::{JobId, Outcome, Phase, Reset, State, Step};
use crate::database::DatabaseError;
use crate::database::rows::{self, columns};
use crate::inventory;
use crate::labels::{IN_SCOPE, Scope};
use crate::operations::request::Kind;

pub use intake::{Created, NewJob, cancel, create, require_no_operation, retry};
pub use leases::{claim, is_held, release, release_all, renew};
pub use progress::{
    LeasedJob, begin, begin_reset, complete, enter_phase, fail, finish_reset, note, note_retry,
    start_mount, start_step,
};
pub use reports::{REMEMBERED_DELIVERIES, Report, ReportReceipt, report};
pub use retention::{delete_expired, expired_isos, mark_iso_removed};

/// Why a job could not be created or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The job does not exist.
    #[error("unknown job")]
    NoJob,
    /// The server does not exist.
    #[error("unknown server {0}")]
    NoServer(String),
    /// The server has an active job.
    #[error("server {serial} has the active job {job}")]
    Active {
        /// Serial number.
        serial: String,
        /// The active job.
        job: JobId,
    },
    /// The server has a running operation.
    #[error("server {serial} has the running operation {kind}")]
    Operating {
        /// Serial number.
        serial: String,
        /// The operation.
        kind: Kind,
    },
    /// The server is not in a group of the user.
    #[error("server {0} is not in your groups, or the change would remove it from them")]
    OtherGroup(String),
    /// The job's state does not allow the operation.
    #[error("the job is {0}")]
    State(&'static str),
    /// The idempotency key was used for a different request.
    #[error("the Idempotency-Key was used for a different request")]
    KeyReused,
    /// Another worker holds the job, or it is complete.
    #[error("the lease of the job was lost")]
    Lost,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A job without its recipe. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Job {
    /// Row number, in order of creation.
    pub number: i64,
    /// Id.
    pub id: JobId,
    /// Serial number of the host.
    pub serial: String,
    /// State.
    pub state: State,
    /// Outcome; clean-up may be in progress.
    pub outcome: Option<Outcome>,
    /// Step that was started last.
    pub step: Option<Step>,
    /// Step that failed first.
    pub failed_step: Option<Step>,
    /// Failure message of that step.
    pub failure: Option<String>,
    /// SHA-256 of the recipe as received.
    pub recipe_sha256: String,
    /// `$id` of the schema that validated it.
    pub schema_id: String,
    /// Target of the task.
    pub task_target: String,
    /// The failed job that this one retries.
    pub retry_of: Option<JobId>,
    /// User who created it.
    pub created_by: String,
    /// Whether cancellation was requested.
    pub cancelled: bool,
    /// User who requested it.
    pub cancelled_by: Option<String>,
    /// Whether media may be inserted.
    pub mounted: bool,
    /// Reset into the maintenance OS.
    pub boot_reset: Reset,
    /// Final reset.
    pub cleanup_reset: Reset,
    /// Phase whose budget is in use.
    pub phase: Phase,
    /// Spent budget of that phase, in milliseconds.
    pub spent_ms: i64,
    /// Time of creation.
    pub created_at: i64,
    /// Time of the last change.
    pub updated_at: i64,
    /// Time of completion.
    pub completed_at: Option<i64>,
}

columns!(
    Job: number, id, serial, state, outcome, step, failed_step, failure, recipe_sha256, schema_id,
    task_target, retry_of, created_by, cancelled, cancelled_by, mounted, boot_reset, cleanup_reset,
    phase, spent_ms, created_at, updated_at, completed_at
);

/// Returns the job that matches a condition.
fn job(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Option<Job>, StoreError> {
    let sql = format!("SELECT {} FROM jobs WHERE {condition}", Job::COLUMNS);
    Ok(connection.prepare_cached(&sql)?.query_row(params, Job::read).optional()?)
}

/// Returns a job by id.
pub fn by_id(connection: &Connection, id: JobId) -> Result<Job, StoreError> {
    job(connection, "id = ?1", [id])?.ok_or(StoreError::NoJob)
}

/// Returns a job and its events.
pub fn with_events(connection: &Connection, id: JobId) -> Result<(Job, Vec<Event>), StoreError> {
    let job = by_id(connection, id)?;
    let events = events(connection, job.number)?;
    Ok((job, events))
}

/// Returns a job if its server is in the scope. A job without a server is only in the scope of all.
pub fn in_scope(connection: &Connection, scope: &Scope, id: JobId) -> Result<Job, StoreError> {
    let job = by_id(connection, id)?;
    if scope.is_all() || inventory::find(connection, scope, &job.serial)?.is_some() {
        return Ok(job);
    }
    Err(StoreError::NoJob)
}

/// Returns a job by row number.
pub fn by_number(connection: &Connection, number: i64) -> Result<Job, StoreError> {
    job(connection, "number = ?1", [number])?.ok_or(StoreError::NoJob)
}

/// Returns the recipe of a job as received.
pub fn recipe(connection: &Connection, number: i64) -> Result<Vec<u8>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT recipe FROM jobs WHERE number = ?1")?;
    statement.query_row([number], |row| row.get(0)).optional()?.ok_or(StoreError::NoJob)
}

/// Filter for a list of jobs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Server.
    pub serial: Option<String>,
    /// State.
    pub state: Option<State>,
    /// Created before this job.
    pub before: Option<JobId>,
    /// Servers that the user may access.
    pub scope: Scope,
}

/// Returns at most `limit` jobs, newest first.
pub fn list(connection: &Connection, filter: &Filter, limit: u32) -> Result<Vec<Job>, StoreError> {
    let before = match filter.before {
        Some(id) => by_id(connection, id)?.number,
        None => i64::MAX,
    };
    let sql = format!(
        "SELECT {} FROM jobs WHERE number < :before AND (:serial IS NULL OR serial = :serial) \
         AND (:state IS NULL OR state = :state) AND (:scope IS NULL OR EXISTS (SELECT 1 FROM servers \
         WHERE servers.serial = jobs.serial AND {IN_SCOPE})) ORDER BY number DESC LIMIT :limit",
        Job::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":before": before,
        ":serial": filter.serial,
        ":state": filter.state,
        ":scope": filter.scope,
        ":limit": limit,
    };
    let rows = statement.query_map(parameters, Job::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the active job of a server.
pub fn active(connection: &Connection, serial: &str) -> Result<Option<Job>, StoreError> {
    job(connection, "serial = ?1 AND state <> 'complete'", [serial])
}

/// Counts jobs by state and outcome.
pub fn counts(connection: &Connection) -> Result<Vec<(State, Option<Outcome>, i64)>, StoreError> {
    let sql = "SELECT state, outcome, count(*) AS jobs FROM jobs GROUP BY state, outcome";
    let mut statement = connection.prepare_cached(sql)?;
    let count = |row: &Row<'_>| Ok((row.get("state")?, row.get("outcome")?, row.get("jobs")?));
    let rows = statement.query_map([], count)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An event of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Increasing number, across all jobs.
    pub number: i64,
    /// Time in milliseconds since 1970.
    pub at: i64,
    /// Kind, such as `state.provisioning`.
    pub kind: String,
    /// Step, if it belongs to one.
    pub step: Option<Step>,
    /// Message.
    pub message: String,
}

columns!(Event: number, at, kind, step, message);

/// Maximum number of events in a response; older ones are omitted.
const MOST_EVENTS: u32 = 1000;

/// Returns the events of a job, oldest first.
pub fn events(connection: &Connection, number: i64) -> Result<Vec<Event>, StoreError> {
    let columns = Event::COLUMNS;
    let sql = format!("SELECT {columns} FROM events WHERE job = ?1 ORDER BY number DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![number, MOST_EVENTS], Event::read)?;
    let mut events: Vec<Event> = rows.collect::<Result<_, _>>()?;
    events.reverse();
    Ok(events)
}

/// Maximum length of a message, in bytes.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// Truncates a message; the length of BMC responses is not limited.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_MESSAGE)).unwrap_or_default()
}

/// Stores an event and updates the job's time of change.
fn insert_event(
    connection: &Connection,
    number: i64,
    kind: &str,
    step: Option<&Step>,
    message: &str,
) -> Result<(), StoreError> {
    let now = clock::now();
    let message = clip(message);
    let values = named_params! {
        ":job": number, ":at": now, ":kind": kind, ":step": step, ":message": message,
    };
    rows::insert(connection, "events", values)?;
    let sql = "UPDATE jobs SET updated_at = ?2 WHERE number = ?1";
    connection.prepare_cached(sql)?.execute(params![number, now])?;
    Ok(())
}
