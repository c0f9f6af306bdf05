// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Operations that users request for a server without a job: power, inspection, firmware updates.
//!
//! A server has at most one, and none beside a job. Each is stored as running before its BMC is
//! contacted. The last one is kept with its result.

pub(crate) mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::database::rows::{self, columns};
use crate::database::{Database, DatabaseError};
use crate::hardware;
use crate::inventory::{self, Server};
use crate::jobs::bmc::{Bmc, Secret, Target};
use crate::jobs::clock;
use crate::jobs::store::{self, StoreError};
use crate::labels::Scope;
use crate::metrics::Metrics;

pub use self::request::{Kind, OperationResult, State};

/// Time limit of an operation. A slow BMC needs minutes for an inventory, and an hour for an update.
const LIMIT: Duration = Duration::from_hours(2);
/// Maximum length of a message, in bytes.
const LONGEST: usize = 4096;
/// Pause before the result is stored again after the database failed.
const PAUSE: Duration = Duration::from_secs(5);

/// A stored operation. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Serial number of the host.
    pub serial: String,
    /// Kind.
    pub kind: Kind,
    /// State.
    pub state: State,
    /// The result, or why it failed; empty while it runs.
    pub message: String,
    /// Name of the image of a firmware update.
    pub image: Option<String>,
    /// Task monitor of a firmware update.
    pub monitor: Option<String>,
    /// User who requested it.
    pub created_by: String,
    /// Time of the request.
    pub created_at: i64,
    /// Time of the end.
    pub ended_at: Option<i64>,
}

columns!(
    Operation: serial, kind, state, message, image, monitor, created_by, created_at, ended_at
);

/// Returns the last operation of a server.
///
/// # Errors
/// If the database fails.
pub fn find(connection: &Connection, serial: &str) -> Result<Option<Operation>, DatabaseError> {
    let sql = format!("SELECT {} FROM operations WHERE serial = ?1", Operation::COLUMNS);
    Ok(connection.prepare_cached(&sql)?.query_row([serial], Operation::read).optional()?)
}

/// Stores a new operation as running.
///
/// # Errors
/// If the server has an active job or a running operation, or the database fails.
pub fn start(
    connection: &Connection,
    serial: &str,
    kind: Kind,
    image: Option<String>,
    user: &str,
) -> Result<Operation, StoreError> {
    if let Some(job) = store::active(connection, serial)? {
        return Err(StoreError::Active { serial: serial.to_owned(), job: job.id });
    }
    store::require_no_operation(connection, serial)?;
    let operation = Operation {
        serial: serial.to_owned(),
        kind,
        state: State::Running,
        message: String::new(),
        image,
        monitor: None,
        created_by: user.to_owned(),
        created_at: clock::now(),
        ended_at: None,
    };
    let values = named_params! {
        ":serial": operation.serial,
        ":kind": kind,
        ":state": operation.state,
        ":message": operation.message,
        ":image": operation.image,
        ":monitor": operation.monitor,
        ":created_by": operation.created_by,
        ":created_at": operation.created_at,
        ":ended_at": operation.ended_at,
    };
    rows::put(connection, "operations", "serial", &[], values)?;
    Ok(operation)
}

/// Stores the result of an operation. Does nothing if it has ended, or its server was deleted.
fn end(
    connection: &Connection,
    operation: &Operation,
    result: Result<OperationResult, String>,
) -> Result<(), DatabaseError> {
    let (state, message, inventory) = match result {
        Ok(OperationResult { message, inventory }) => (State::Succeeded, message, inventory),
        Err(message) => (State::Failed, message, None),
    };
    let message = message.get(..message.floor_char_boundary(LONGEST)).unwrap_or_default();
    let sql = "UPDATE operations SET state = :state, message = :message, ended_at = :now \
               WHERE serial = :serial AND created_at = :created_at AND state = 'running'";
    let values = named_params! {
        ":serial": operation.serial,
        ":created_at": operation.created_at,
        ":state": state,
        ":message": message,
        ":now": clock::now(),
    };
    let ended = connection.prepare_cached(sql)?.execute(values)?;
    if let Some(inventory) = inventory.filter(|_| ended == 1) {
        hardware::put(connection, &operation.serial, inventory)?;
    }
    Ok(())
}

/// Stores the task monitor of a firmware update, so that a later process can follow it.
fn set_monitor(
    connection: &Connection,
    operation: &Operation,
    monitor: &str,
) -> Result<(), DatabaseError> {
    let sql = "UPDATE operations SET monitor = :monitor \
               WHERE serial = :serial AND created_at = :created_at AND state = 'running'";
    let values = named_params! {
        ":serial": operation.serial, ":created_at": operation.created_at, ":monitor": monitor,
    };
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Ends the operations that an earlier process left running, except for firmware updates with a
/// task monitor. Returns their number.
///
/// # Errors
/// If the database fails.
pub fn end_interrupted(connection: &Connection) -> Result<usize, DatabaseError> {
    let sql = "UPDATE operations SET state = 'failed', ended_at = ?1, message = \
               'interrupted by a restart of the controller: the BMC may have acted on it' \
               WHERE state = 'running' AND monitor IS NULL";
    Ok(connection.execute(sql, [clock::now()])?)
}

/// Returns the running operations, each with its server.
fn list_running(connection: &Connection) -> Result<Vec<(Operation, Server)>, DatabaseError> {
    let sql = format!("SELECT {} FROM operations WHERE state = 'running'", Operation::COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let operations: Vec<Operation> =
        statement.query_map([], Operation::read)?.collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for operation in operations {
        // The foreign key guarantees the server.
        if let Some(server) = inventory::find(connection, &Scope::ALL, &operation.serial)? {
            found.push((operation, server));
        }
    }
    Ok(found)
}

/// Returns the number of running operations.
///
/// # Errors
/// If the database fails.
pub(crate) fn count_running(connection: &Connection) -> Result<i64, DatabaseError> {
    let sql = "SELECT count(*) FROM operations WHERE state = 'running'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Follows the firmware updates that an earlier process started.
///
/// # Errors
/// If the database fails.
pub(crate) async fn resume(
    database: &Database,
    bmc: &Arc<dyn Bmc>,
    metrics: &Arc<Metrics>,
) -> Result<(), DatabaseError> {
    for (operation, server) in database.read(list_running).await? {
        tracing::info!(serial = operation.serial, kind = %operation.kind, "operation resumed");
        let target = server.target(&database.keys())?;
        let services = (database.clone(), Arc::clone(bmc), Arc::clone(metrics));
        tokio::spawn(run(services, operation, target, None));
    }
    Ok(())
}

/// Executes an operation, stores its result, and counts it. `image` is the URL of the image of a
/// firmware update that is not started yet.
pub(crate) async fn run(
    (database, bmc, metrics): (Database, Arc<dyn Bmc>, Arc<Metrics>),
    operation: Operation,
    target: Target,
    image: Option<Secret>,
) {
    let (kind, start) = (operation.kind, Instant::now());
    let work = perform(database.clone(), bmc, operation.clone(), target, image);
    let work = async move {
        let late = || Err(format!("no result within {}", humantime::format_duration(LIMIT)));
        tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| late())
    };
    // In its own task, so that a panic ends the operation too.
    let result = tokio::spawn(work).await.unwrap_or_else(|error| Err(error.to_string()));
    let state = if result.is_ok() { State::Succeeded } else { State::Failed };
    metrics.count_operation(kind, state, start.elapsed());
    let serial = &operation.serial;
    match &result {
        Ok(done) => tracing::info!(serial, %kind, message = done.message, "operation succeeded"),
        Err(error) => tracing::warn!(serial, %kind, error, "operation failed"),
    }
    loop {
        let (operation, result) = (operation.clone(), result.clone());
        match database.write(move |c| end(c, &operation, result)).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(serial, %error, "cannot store the result of an operation, retrying");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn perform(
    database: Database,
    bmc: Arc<dyn Bmc>,
    operation: Operation,
    target: Target,
    image: Option<Secret>,
) -> Result<OperationResult, String> {
    if operation.kind != Kind::FirmwareUpdate {
        return bmc.operate(&target, operation.kind).await;
    }
    let monitor = match (&operation.monitor, image) {
        (Some(monitor), _) => Some(monitor.clone()),
        (None, Some(image)) => bmc.start_update(&target, &image).await?,
        (None, None) => return Err("the image of the update is unknown".to_owned()),
    };
    let Some(monitor) = monitor else {
        let message =
            "the BMC accepted the update and has no task for it; fix: inspect the server later";
        return Ok(OperationResult { message: message.to_owned(), inventory: None });
    };
    let (stored, started) = (monitor.clone(), operation.clone());
    let store = database.write(move |c| set_monitor(c, &started, &stored));
    store.await.map_err(|error: DatabaseError| error.to_string())?;
    bmc.follow_update(&target, &monitor).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::bmc::TlsPolicy;
    use crate::keyring::Keyring;
    use crate::labels::Labels;
    use redfish::Inventory;

    #[test]
    fn one_at_a_time_and_none_survives_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let target = Target {
            serial: "S1".to_owned(),
            bmc_url: "https://bmc.example".to_owned(),
            username: "admin".to_owned(),
            password: Secret::new("of-the-bmc"),
            profile: None,
            tls: TlsPolicy::System,
        };
        inventory::put(&connection, &Keyring::default(), &target, &Labels::default(), "ops")
            .unwrap();
        let first = start(&connection, "S1", Kind::PowerOff, None, "ops").unwrap();
        let refused = start(&connection, "S1", Kind::Inspect, None, "ops").unwrap_err();
        assert!(matches!(refused, StoreError::Operating { kind: Kind::PowerOff, .. }));
        assert_eq!(end_interrupted(&connection).unwrap(), 1);
        // The interrupted one must not report a result later.
        end(&connection, &first, Ok(OperationResult::default())).unwrap();
        let last = || find(&connection, "S1").unwrap().unwrap();
        assert_eq!(last().state, State::Failed);
        let second = start(&connection, "S1", Kind::Inspect, None, "ops").unwrap();
        let inventory = Some(Inventory::default());
        end(&connection, &second, Ok(OperationResult { message: "ä".repeat(LONGEST), inventory }))
            .unwrap();
        assert_eq!((last().state, last().message.len()), (State::Succeeded, LONGEST));
        assert!(hardware::find(&connection, "S1").unwrap().is_some());
        // An update with a task is followed by the next process.
        let image = Some("bios.bin".to_owned());
        let update = start(&connection, "S1", Kind::FirmwareUpdate, image, "ops").unwrap();
        set_monitor(&connection, &update, "/redfish/v1/TaskService/TaskMonitors/1").unwrap();
        assert_eq!(end_interrupted(&connection).unwrap(), 0);
        assert_eq!(list_running(&connection).unwrap().len(), 1);
        // All of it is removed with the server.
        assert!(inventory::remove(&connection, "S1").unwrap());
        assert!(find(&connection, "S1").unwrap().is_none());
        assert!(hardware::find(&connection, "S1").unwrap().is_none());
    }
}
