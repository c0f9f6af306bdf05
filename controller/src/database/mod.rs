// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The service's database of servers and jobs: SQLite in WAL mode, in one file.
//!
//! One thread writes. It takes all queued work, runs each piece in a savepoint of one transaction,
//! and answers after the commit: a thousand jobs that change state at once share one fsync. Reads
//! use their own connection and do not wait for the disk.

pub(crate) mod rows;
mod schema;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::blocking::DATABASE;
use crate::durable;
use crate::keyring::{KeyError, Keyring};
use writer::Writer;

/// How long to wait for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A database operation failed. Its changes were rolled back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// Another process holds the lock.
    #[error("the database is locked by another process")]
    Locked,
    /// The disk is full.
    #[error("the disk of the database is full")]
    Full,
    /// A later version of this program wrote the file.
    #[error(
        "the database has schema version {found}, this program supports up to {known}: use the later controller that wrote it"
    )]
    Newer {
        /// Schema version of the file.
        found: u32,
        /// Latest schema version that this program supports.
        known: u32,
    },
    /// A secret cannot be encrypted or decrypted.
    #[error("{0}")]
    Key(String),
    /// Any other failure.
    #[error("database: {0}")]
    Other(String),
}

impl From<KeyError> for DatabaseError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::Full,
            // Error texts of SQLite contain table and column names, never values.
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The open database.
#[derive(Clone)]
pub struct Database {
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    keys: Arc<Keyring>,
}

impl Database {
    /// Opens or creates the file and migrates it to the current schema. Secrets are stored as plain
    /// text.
    ///
    /// # Errors
    /// If the file cannot be opened, or a later version of this program wrote it.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self::open_with(path, Arc::default(), |_| Ok(()))?.0)
    }

    /// Like [`open`](Self::open), with the keys of the secrets. `prepare` runs before any other
    /// access, and data that it replaced is erased from all files.
    ///
    /// # Errors
    /// If the file cannot be opened, a later version of this program wrote it, or `prepare` fails.
    pub fn open_with<T>(
        path: &Path,
        keys: Arc<Keyring>,
        prepare: impl FnOnce(&mut Connection) -> Result<T, DatabaseError>,
    ) -> Result<(Self, T), DatabaseError> {
        let mut connection = Self::connect(path)?;
        let prepared = prepare(&mut connection)?;
        // Old pages may contain passwords in plain text.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags)?;
        reader.busy_timeout(BUSY_TIMEOUT)?;
        let writer = Writer::start(connection).map_err(|e| DatabaseError::Other(e.to_string()))?;
        Ok((Self { writer, reader: Arc::new(Mutex::new(reader)), keys }, prepared))
    }

    /// Opens a writing connection for single-threaded programs. Migrates the file to the current
    /// schema.
    ///
    /// # Errors
    /// If the file cannot be opened, or a later version of this program wrote it.
    pub fn connect(path: &Path) -> Result<Connection, DatabaseError> {
        let other = |e: &dyn std::fmt::Display| DatabaseError::Other(e.to_string());
        if let Some(folder) = path.parent() {
            durable::ensure_folder(folder).map_err(|e| other(&e))?;
        }
        create_private(path).map_err(|e| other(&e))?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Acknowledged writes must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Removed passwords and recipes must not stay in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        schema::migrate(&mut connection)?;
        Ok(connection)
    }

    /// Returns the keys of the secrets.
    pub fn keys(&self) -> Arc<Keyring> {
        Arc::clone(&self.keys)
    }

    /// Runs `work` on the writing thread. All its changes are on the disk when this returns `Ok`;
    /// otherwise none.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        // The thread has ended and dropped the sender of the answer.
        let ended = DatabaseError::Other("the writing thread has ended".to_owned());
        self.writer.submit(work).await.unwrap_or_else(|_| Err(ended.into()))
    }

    /// Queues `work` without waiting for it: for changes that nothing depends on.
    pub fn write_in_turn<E: From<DatabaseError> + Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<(), E> + Send + 'static,
    ) {
        self.writer.submit(work);
    }

    /// Runs `work` on the reading connection, on a blocking thread.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let read = move || {
            let connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
            // One snapshot for all statements of `work`.
            connection.execute_batch("BEGIN").map_err(DatabaseError::from)?;
            let result = work(&connection);
            connection.execute_batch("ROLLBACK").map_err(DatabaseError::from)?;
            result
        };
        match DATABASE.run(read).await {
            Ok(result) => result,
            Err(error) => Err(DatabaseError::Other(error.to_string()).into()),
        }
    }
}

/// Creates the file with mode 0600 if it is missing: it contains BMC passwords. SQLite gives its
/// other files the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/controller.db");
        let database = Database::open(&path).unwrap();
        let insert = "INSERT INTO servers (serial, bmc_url, username, password, tls, created_at, updated_at) \
             VALUES ('s', 'u', 'n', 'p', '{}', 0, 0)";
        let write = |c: &Connection| c.execute(insert, []).map_err(DatabaseError::from);
        database.write(write).await.unwrap();
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
    }

    #[tokio::test]
    async fn failed_work_is_rolled_back_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("c.db")).unwrap();
        let insert = |serial: &'static str, fail: bool| {
            database.write(move |c| {
                let sql = "INSERT INTO servers (serial, bmc_url, username, password, tls, created_at, \
                     updated_at) VALUES (?1, 'u', 'n', 'p', '{}', 0, 0)";
                c.execute(sql, [serial])?;
                if fail { Err(DatabaseError::Other("no".to_owned())) } else { Ok(()) }
            })
        };
        let (good, bad, other) =
            tokio::join!(insert("a", false), insert("b", true), insert("c", false));
        assert!(good.is_ok() && bad.is_err() && other.is_ok());
        let serials = database
            .read(|c| -> Result<String, DatabaseError> {
                let sql = "SELECT group_concat(serial, ' ') FROM servers";
                Ok(c.query_row(sql, [], |row| row.get(0))?)
            })
            .await;
        assert_eq!(serials.unwrap(), "a c");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_work_runs() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("c.db")).unwrap();
        let panics = |_: &Connection| -> Result<(), DatabaseError> { panic!("on purpose") };
        assert!(database.write(panics).await.is_err());
        assert!(database.write(|_| Ok::<_, DatabaseError>(())).await.is_ok());
    }
}
