// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Schema versions and migrations. A released version never changes: a change is a new file at the
//! end of the list. There is no downgrade; a program refuses a file that a later one wrote.

use rusqlite::{Connection, TransactionBehavior};

use super::DatabaseError;

/// Migrations in order; the first makes version 1.
const VERSIONS: [&str; 4] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
];

/// Migrates a database to the latest version, one transaction per step.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DatabaseError> {
    for (version, sql) in (1..).zip(VERSIONS) {
        // Lock before reading the version: another process may be about to migrate.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self::version(&transaction)? < version {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    let (found, known) = (version(connection)?, u32::try_from(VERSIONS.len()).unwrap_or(u32::MAX));
    if found > known { Err(DatabaseError::Newer { found, known }) } else { Ok(()) }
}

fn version(connection: &Connection) -> Result<u32, DatabaseError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(matches!(error, DatabaseError::Newer { found: 99, .. }), "{error}");
    }

    /// Released versions must not change; the snapshot holds their digests.
    #[test]
    fn released_versions_do_not_change() {
        let digests: Vec<String> =
            VERSIONS.iter().map(|sql| recipe::sha256_hex(sql.as_bytes())).collect();
        insta::assert_debug_snapshot!(digests);
    }
}
