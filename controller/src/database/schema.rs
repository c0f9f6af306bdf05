// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Schema versions and migrations. A released version never changes: a change is a new file at the
//! end of the list. There is no downgrade; a program refuses a file that a later one wrote.

use rusqlite::{Connection, TransactionBehavior};

use super::DatabaseError;

/// Migrations in order; the first creates version 1.
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

    #[test]
    fn released_versions_do_not_change() {
        let released = [
            "dd0e76ea70477fcb4505de691953caec79962bd596544b8f91d44452e3bdd53f",
            "4cf495cf4583766d3ae9a9e3f49e029c5f350f29cc5db3c3cc7ba0aca36a3a56",
            "84a80c13570591f7c392268bf41389abf567d8e76d031b42e9c57f93488cc6e9",
            "b50a73babe3bf8544843442a77cadfa48ab00a207ff5aadc0a3293b18de1704a",
        ];
        assert_eq!(VERSIONS.map(|sql| recipe::sha256_hex(sql.as_bytes())), released);
    }
}
