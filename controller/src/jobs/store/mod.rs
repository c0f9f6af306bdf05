// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs in the database. Everything here runs inside a transaction of the caller's, so that a change and
//! the event that tells of it are kept together or not at all.

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

pub use intake::{Created, NewJob, cancel, create, retry};
pub use leases::{claim, hand_back, holds, let_go, renew};
pub use progress::{
    Held, begin, complete, enter, fail, note, reset_begun, reset_done, start_mount, start_step,
    still_failing,
};
pub use reports::{REMEMBERED_DELIVERIES, Report, Taken, report};
pub use retention::{expired_isos, forget, iso_removed};

/// Why a job could not be made or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No such job.
    #[error("there is no such job")]
    NoJob,
    /// No such server.
    #[error("there is no server {0}")]
    NoServer(String),
    /// The server has a job that is not complete.
    #[error("server {serial} has the active job {job}")]
    Active {
        /// The server.
        serial: String,
        /// Its job.
        job: JobId,
    },
    /// The server is not in a group of whoever asks.
    #[error("the server {0} is not in your groups of servers, or would not be any more")]
    OtherGroup(String),
    /// The job is not in a state in which this can be done.
    #[error("the job is {0}")]
    State(&'static str),
    /// The key came before with another request.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// Another worker holds the job, or it went on without this one.
    #[error("the lease of the job is lost")]
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

/// A job, without its recipe. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Job {
    /// In the order of creation.
    pub number: i64,
    /// Its name.
    pub id: JobId,
    /// The machine.
    pub serial: String,
    /// Where it stands.
    pub state: State,
    /// How the work ended; clean-up may be under way.
    pub outcome: Option<Outcome>,
    /// What was begun last.
    pub step: Option<Step>,
    /// What went wrong first.
    pub failed_step: Option<Step>,
    /// The same, in words.
    pub failure: Option<String>,
    /// Digest of the recipe as it was sent.
    pub recipe_sha256: String,
    /// `$id` of the schema that accepted it.
    pub schema_id: String,
    /// What is to be done.
    pub task_target: String,
    /// The job that this one repeats.
    pub retry_of: Option<JobId>,
    /// The user who made it.
    pub created_by: String,
    /// Whether somebody asked to cancel it.
    pub cancelled: bool,
    /// Who did.
    pub cancelled_by: Option<String>,
    /// Whether media may be inserted.
    pub mounted: bool,
    /// The reset into the maintenance OS.
    pub boot_reset: Reset,
    /// The reset at the end.
    pub cleanup_reset: Reset,
    /// Whose budget is being spent.
    pub phase: Phase,
    /// How much of it is spent, in milliseconds.
    pub spent_ms: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it changed last.
    pub updated_at: i64,
    /// When it became complete.
    pub completed_at: Option<i64>,
}

columns!(
    Job: number, id, serial, state, outcome, step, failed_step, failure, recipe_sha256, schema_id,
    task_target, retry_of, created_by, cancelled, cancelled_by, mounted, boot_reset, cleanup_reset,
    phase, spent_ms, created_at, updated_at, completed_at
);

/// The job that meets a condition.
fn job(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Option<Job>, StoreError> {
    let sql = format!("SELECT {} FROM jobs WHERE {condition}", Job::COLUMNS);
    Ok(connection.prepare_cached(&sql)?.query_row(params, Job::read).optional()?)
}

/// A job by its name.
pub fn by_id(connection: &Connection, id: JobId) -> Result<Job, StoreError> {
    job(connection, "id = ?1", [id])?.ok_or(StoreError::NoJob)
}

/// A job by its name, with its events.
pub fn with_events(connection: &Connection, id: JobId) -> Result<(Job, Vec<Event>), StoreError> {
    let job = by_id(connection, id)?;
    let events = events(connection, job.number)?;
    Ok((job, events))
}

/// A job by its name, where its server is in the scope. Without its server, a job is in the scope of all alone.
pub fn in_scope(connection: &Connection, scope: &Scope, id: JobId) -> Result<Job, StoreError> {
    let job = by_id(connection, id)?;
    if scope.is_all() || inventory::find(connection, scope, &job.serial)?.is_some() {
        return Ok(job);
    }
    Err(StoreError::NoJob)
}

/// A job by its number.
pub fn by_number(connection: &Connection, number: i64) -> Result<Job, StoreError> {
    job(connection, "number = ?1", [number])?.ok_or(StoreError::NoJob)
}

/// The recipe of a job, as it was sent.
pub fn recipe(connection: &Connection, number: i64) -> Result<Vec<u8>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT recipe FROM jobs WHERE number = ?1")?;
    statement.query_row([number], |row| row.get(0)).optional()?.ok_or(StoreError::NoJob)
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this server.
    pub serial: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Made before this one.
    pub before: Option<JobId>,
    /// Of these servers only.
    pub scope: Scope,
}

/// At most `limit` jobs, the newest first.
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

/// The job of a server that is not complete.
pub fn active(connection: &Connection, serial: &str) -> Result<Option<Job>, StoreError> {
    job(connection, "serial = ?1 AND state <> 'complete'", [serial])
}

/// How many jobs there are in each state, and how many are complete by outcome.
pub fn counts(connection: &Connection) -> Result<Vec<(State, Option<Outcome>, i64)>, StoreError> {
    let sql = "SELECT state, outcome, count(*) AS jobs FROM jobs GROUP BY state, outcome";
    let mut statement = connection.prepare_cached(sql)?;
    let count = |row: &Row<'_>| Ok((row.get("state")?, row.get("outcome")?, row.get("jobs")?));
    let rows = statement.query_map([], count)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts up, over all jobs.
    pub number: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What kind of thing, such as `state.provisioning`.
    pub kind: String,
    /// The step that it belongs to.
    pub step: Option<Step>,
    /// What happened.
    pub message: String,
}

columns!(Event: number, at, kind, step, message);

/// The most events of a job that are answered at once; what is older than these is left out.
const MOST_EVENTS: u32 = 1000;

/// The events of a job, the oldest first.
fn events(connection: &Connection, number: i64) -> Result<Vec<Event>, StoreError> {
    let columns = Event::COLUMNS;
    let sql = format!("SELECT {columns} FROM events WHERE job = ?1 ORDER BY number DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![number, MOST_EVENTS], Event::read)?;
    let mut events: Vec<Event> = rows.collect::<Result<_, _>>()?;
    events.reverse();
    Ok(events)
}

/// Longest text of an event or a failure, in bytes.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// The text, cut where it is too long to be kept: BMCs answer what they like.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_MESSAGE)).unwrap_or_default()
}

/// Writes an event down, and that the job changed.
fn event(
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
