// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Leases of jobs. They use the time since boot, which is not affected by clock changes. A lease
//! that ends later than any lease granted now could is from before a reboot, and void.
//!
//! The end of a lease minus its lifetime is the time up to which the spent budget is counted.

use rusqlite::{Connection, params};

use super::{Job, LeasedJob, StoreError, by_number, insert_event};
use crate::jobs::clock;

/// Claims at most `limit` jobs without a valid lease, oldest first. The last lease of a lost worker
/// counts as spent, so that a controller that ends again and again does not extend a phase.
pub fn claim(
    connection: &Connection,
    owner: &str,
    ttl_ms: i64,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    let now = clock::uptime();
    let until = now.saturating_add(ttl_ms);
    let sql = "SELECT number, lease_owner FROM jobs WHERE state <> 'complete' AND \
               (lease_owner IS NULL OR lease_until <= ?1 OR lease_until > ?2) \
               AND lease_owner IS NOT ?4 ORDER BY number LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![now, until, limit, owner], |row| {
        Ok((row.get::<_, i64>("number")?, row.get::<_, Option<String>>("lease_owner")?))
    })?;
    let free: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut jobs = Vec::with_capacity(free.len());
    for (number, before) in free {
        let lost_ms = if before.is_some() { ttl_ms } else { 0 };
        let sql = "UPDATE jobs SET lease_owner = ?2, lease_until = ?3, spent_ms = spent_ms + ?4 \
                   WHERE number = ?1";
        connection.prepare_cached(sql)?.execute(params![number, owner, until, lost_ms])?;
        if before.is_some() {
            let message = "taken over by another worker: the lease expired";
            insert_event(connection, number, "lease.taken-over", None, message)?;
        }
        jobs.push(by_number(connection, number)?);
    }
    Ok(jobs)
}

/// Renews all leases of `owner`, and adds the elapsed time to the spent budget of each job. Returns
/// the jobs still held, and whether each was cancelled or has an outcome.
pub fn renew(
    connection: &Connection,
    owner: &str,
    ttl_ms: i64,
) -> Result<Vec<(i64, bool)>, StoreError> {
    let until = clock::uptime().saturating_add(ttl_ms);
    let sql = "UPDATE jobs SET lease_until = ?2, spent_ms = spent_ms + (?2 - lease_until) \
               WHERE lease_owner = ?1 AND state <> 'complete'";
    connection.prepare_cached(sql)?.execute(params![owner, until])?;
    let sql = "SELECT number, cancelled = 1 OR outcome IS NOT NULL AS changed FROM jobs \
               WHERE lease_owner = ?1 AND state <> 'complete'";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([owner], |row| Ok((row.get("number")?, row.get("changed")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns whether a worker still holds a job's lease.
pub fn is_held(connection: &Connection, held: &LeasedJob) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE number = ?1 AND lease_owner = ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![held.number, held.owner], |row| row.get(0))?)
}

/// Releases a lease.
pub fn release(connection: &Connection, held: &LeasedJob) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET lease_owner = NULL, lease_until = NULL \
               WHERE number = ?1 AND lease_owner = ?2";
    connection.prepare_cached(sql)?.execute(params![held.number, held.owner])?;
    Ok(())
}

/// Releases all leases of `owner`, so that the next worker need not wait for their end.
pub fn release_all(connection: &Connection, owner: &str, ttl_ms: i64) -> Result<(), StoreError> {
    for (number, _) in renew(connection, owner, ttl_ms)? {
        insert_event(
            connection,
            number,
            "lease.released",
            None,
            "the controller is shutting down",
        )?;
    }
    let sql = "UPDATE jobs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = ?1";
    connection.prepare_cached(sql)?.execute([owner])?;
    Ok(())
}
