// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Retention: task ISOs, which contain the whole recipe, expire first, then jobs.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::StoreError;
use crate::jobs::clock;
use crate::jobs::model::JobId;

/// Minimum retention of idempotency keys.
const REPEATS: Duration = Duration::from_hours(24);
/// Maximum number of removals per transaction.
const AT_ONCE: i64 = 500;

/// Returns jobs complete for at least `keep` whose ISO was not removed.
pub fn expired_isos(connection: &Connection, keep: Duration) -> Result<Vec<JobId>, StoreError> {
    let before = clock::now().saturating_sub(clock::millis(keep));
    let sql = "SELECT id FROM jobs WHERE state = 'complete' AND completed_at <= ?1 AND iso_removed = 0 \
               LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![before, AT_ONCE], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores that the ISO of a job was removed.
pub fn mark_iso_removed(connection: &Connection, id: JobId) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET iso_removed = 1 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute([id])?;
    Ok(())
}

/// Deletes jobs that were complete for at least `keep` and have no ISO, with their events, and
/// expired idempotency keys. Returns the number of jobs.
pub fn delete_expired(connection: &Connection, keep: Duration) -> Result<usize, StoreError> {
    let now = clock::now();
    let sql = "DELETE FROM idempotency WHERE created_at <= ?1";
    connection.prepare_cached(sql)?.execute([now.saturating_sub(clock::millis(REPEATS))])?;
    let sql = "DELETE FROM jobs WHERE number IN (SELECT number FROM jobs WHERE state = 'complete' \
               AND completed_at <= ?1 AND iso_removed = 1 LIMIT ?2)";
    let before = now.saturating_sub(clock::millis(keep));
    Ok(connection.prepare_cached(sql)?.execute(params![before, AT_ONCE])?)
}
