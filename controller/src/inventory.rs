// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The servers that there are, and how their BMCs are reached.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::database::DatabaseError;
use crate::jobs::bmc::{Secret, Target, TlsPolicy};
use crate::jobs::clock;

/// A server, with the times at which it was made known and last changed, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// How its BMC is reached.
    pub target: Target,
    /// When it was made known.
    pub created_at: i64,
    /// When that was changed last.
    pub updated_at: i64,
}

const COLUMNS: &str = "serial, bmc_url, username, password, profile, tls, created_at, updated_at";

fn server(row: &Row<'_>) -> rusqlite::Result<Server> {
    let tls: String = row.get(5)?;
    let wrong = |e| rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, e);
    let tls: TlsPolicy = serde_json::from_str(&tls).map_err(|e| wrong(Box::new(e)))?;
    let target = Target {
        serial: row.get(0)?,
        bmc_url: row.get(1)?,
        username: row.get(2)?,
        password: Secret::new(row.get::<_, String>(3)?),
        profile: row.get(4)?,
        tls,
    };
    Ok(Server { target, created_at: row.get(6)?, updated_at: row.get(7)? })
}

/// A server by its serial number.
///
/// # Errors
/// When the database fails.
pub fn find(connection: &Connection, serial: &str) -> Result<Option<Server>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM servers WHERE serial = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([serial], server).optional()?)
}

/// At most `limit` servers whose serial number follows `after`, sorted.
///
/// # Errors
/// When the database fails.
pub fn list(
    connection: &Connection,
    after: &str,
    limit: u32,
) -> Result<Vec<Server>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM servers WHERE serial > ?1 ORDER BY serial LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, limit], server)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many servers there are.
///
/// # Errors
/// When the database fails.
pub fn count(connection: &Connection) -> Result<i64, DatabaseError> {
    Ok(connection.query_row("SELECT count(*) FROM servers", [], |row| row.get(0))?)
}

/// Makes a server known, or changes how it is reached; says whether it is new.
///
/// # Errors
/// When the database fails.
pub fn put(connection: &Connection, target: &Target) -> Result<bool, DatabaseError> {
    let new = find(connection, &target.serial)?.is_none();
    let tls =
        serde_json::to_string(&target.tls).map_err(|e| DatabaseError::Other(e.to_string()))?;
    let sql = "INSERT INTO servers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT (serial) DO UPDATE SET \
               bmc_url = ?2, username = ?3, password = ?4, profile = ?5, tls = ?6, updated_at = ?7";
    connection.prepare_cached(sql)?.execute(params![
        target.serial,
        target.bmc_url,
        target.username,
        target.password.expose(),
        target.profile,
        tls,
        clock::now()
    ])?;
    Ok(new)
}

/// Forgets a server; says whether there was one.
///
/// # Errors
/// When the database fails.
pub fn remove(connection: &Connection, serial: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM servers WHERE serial = ?1";
    Ok(connection.prepare_cached(sql)?.execute([serial])? == 1)
}
