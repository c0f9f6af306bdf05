// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Audit log: successful changes and refused requests, with their actor. Entries go to a database
//! table of bounded size and to JSON log lines with the tracing target [`TARGET`]. They contain no
//! secrets and no part of a recipe.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, named_params, params};

use crate::database::rows::{self, columns};
use crate::database::{Database, DatabaseError};
use crate::jobs::clock::{self, millis};
use crate::jobs::store::StoreError;
use crate::limits::Limit;
use crate::words::words;

/// Tracing target of audit log lines.
pub(crate) const TARGET: &str = "audit";
/// Rate and burst of recorded refusals. Unauthenticated clients cause them, so they are limited.
const REFUSALS: (f64, f64) = (0.2, 100.0);
/// Maximum number of stored refusals; they never displace changes.
const MOST_REFUSALS: u32 = 10_000;
/// Old entries are removed once per this many insertions.
const TRIM: i64 = 256;
/// Longest text field of an entry, in bytes.
const LONGEST: usize = 256;

words! {
    /// Audited action.
    pub(crate) Action, "an action":
    ServerCreate = "server.create",
    ServerUpdate = "server.update",
    ServerDelete = "server.delete",
    ServerFirmware = "server.firmware",
    ServerInspect = "server.inspect",
    ServerPower = "server.power",
    JobCreate = "job.create",
    JobCancel = "job.cancel",
    JobRetry = "job.retry",
    RegistryDelete = "registry.delete",
    Login = "login",
    Request = "request",
}

words! {
    /// Class of an audit entry.
    pub(crate) Kind, "change or refusal":
    /// A successful change; always recorded.
    Change = "change",
    /// A refused request; rate-limited, because unauthenticated clients can cause it.
    Refusal = "refusal",
}

impl Action {
    fn kind(self) -> Kind {
        match self {
            Self::Login | Self::Request => Kind::Refusal,
            Self::ServerCreate
            | Self::ServerUpdate
            | Self::ServerDelete
            | Self::ServerFirmware
            | Self::ServerInspect
            | Self::ServerPower
            | Self::JobCreate
            | Self::JobCancel
            | Self::JobRetry
            | Self::RegistryDelete => Kind::Change,
        }
    }
}

/// A new audit entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Authenticated user; None: not authenticated.
    pub(crate) actor: Option<String>,
    /// Client address.
    pub(crate) address: IpAddr,
    /// Action.
    pub(crate) action: Action,
    /// Target of the action: a serial number, a job id or `REPOSITORY:TAG`.
    pub(crate) object: Option<String>,
    /// Free-text details.
    pub(crate) detail: Option<String>,
}

/// A stored audit entry.
#[derive(Debug, Clone)]
pub(crate) struct StoredEntry {
    pub(crate) number: i64,
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) actor: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    pub(crate) object: Option<String>,
    pub(crate) detail: Option<String>,
}

columns!(StoredEntry: number, at, kind, actor, address, action, object, detail);

/// Retention limits of the audit log.
#[derive(Debug, Clone, Copy)]
pub struct AuditConfig {
    /// Maximum number of stored changes.
    pub entries: usize,
    /// Maximum age of an entry.
    pub keep: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { entries: 100_000, keep: Duration::from_hours(365 * 24) }
    }
}

impl Entry {
    fn clip(&self) -> Self {
        let clip = |text: &Option<String>| {
            let text = text.as_deref()?;
            text.get(..text.floor_char_boundary(LONGEST)).map(str::to_owned)
        };
        let (actor, object, detail) = (clip(&self.actor), clip(&self.object), clip(&self.detail));
        Self { actor, object, detail, ..*self }
    }

    fn log(&self) {
        let Self { actor, address, action, object, detail } = self;
        let (actor, object, detail) = (actor.as_deref(), object.as_deref(), detail.as_deref());
        let kind = action.kind().as_str();
        tracing::info!(
            target: TARGET,
            kind, actor, %address, action = action.as_str(), object, detail, "audit"
        );
    }

    fn insert(&self, connection: &Connection, limits: AuditConfig) -> Result<(), DatabaseError> {
        let Self { actor, address, action, object, detail } = self.clip();
        let values = named_params! {
            ":at": clock::now(),
            ":kind": action.kind(),
            ":actor": actor,
            ":address": address.to_string(),
            ":action": action,
            ":object": object,
            ":detail": detail,
        };
        rows::insert(connection, "audit", values)?;
        if connection.last_insert_rowid() % TRIM == 0 {
            trim(connection, limits)?;
        }
        Ok(())
    }
}

/// Deletes the oldest entries that exceed the limits.
pub(crate) fn trim(connection: &Connection, limits: AuditConfig) -> Result<(), DatabaseError> {
    let most = u32::try_from(limits.entries).unwrap_or(u32::MAX);
    let before = clock::now().saturating_sub(millis(limits.keep));
    for (kind, most) in [(Kind::Change, most), (Kind::Refusal, MOST_REFUSALS)] {
        let sql = "DELETE FROM audit WHERE kind = ?1 AND (number <= \
                   (SELECT number FROM audit WHERE kind = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) \
                   OR number < coalesce((SELECT min(number) FROM audit WHERE kind = ?1 AND at >= ?3), \
                   9223372036854775807))";
        connection.execute(sql, params![kind, most, before])?;
    }
    Ok(())
}

/// Returns at most `limit` entries older than entry `before`, newest first.
pub(crate) fn list(
    connection: &Connection,
    before: i64,
    limit: u32,
) -> Result<Vec<StoredEntry>, DatabaseError> {
    let columns = StoredEntry::COLUMNS;
    let sql =
        format!("SELECT {columns} FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![before, limit], StoredEntry::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Handle for adding audit entries.
#[derive(Clone)]
pub(crate) struct Audit {
    database: Database,
    limits: AuditConfig,
    refusals: Arc<Limit>,
    /// Refusals that were not recorded since the last recorded one.
    unrecorded: Arc<AtomicU64>,
}

impl Audit {
    pub(crate) fn new(database: Database, limits: AuditConfig) -> Self {
        let (rate, burst) = REFUSALS;
        let refusals = Arc::new(Limit::new(rate, burst));
        Self { database, limits, refusals, unrecorded: Arc::default() }
    }

    /// Runs `work` and inserts its audit entries in one transaction.
    pub(crate) async fn change<T: Send + 'static, E: IntoIterator<Item = Entry>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<(T, E), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let limits = self.limits;
        let write = move |c: &Connection| {
            let (value, entries) = work(c)?;
            let entries: Vec<Entry> = entries.into_iter().collect();
            for entry in &entries {
                entry.insert(c, limits)?;
            }
            Ok::<_, StoreError>((value, entries))
        };
        let (value, entries) = self.database.write(write).await?;
        for entry in entries {
            entry.log();
        }
        Ok(value)
    }

    /// Records an action outside the database. Logs the entry even if the insertion fails.
    pub(crate) async fn record(&self, entry: Entry) {
        entry.log();
        let limits = self.limits;
        let write = move |c: &Connection| entry.insert(c, limits);
        if let Err(error) = self.database.write(write).await {
            tracing::error!(%error, "audit entry not stored in the database");
        }
    }

    /// Records a refusal, rate-limited. The next recorded one states how many were dropped.
    pub(crate) fn refuse(&self, mut entry: Entry) {
        if self.refusals.take(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_err() {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let more = self.unrecorded.swap(0, Ordering::Relaxed);
        if more > 0 {
            let detail = entry.detail.unwrap_or_default();
            entry.detail = Some(format!("{detail}; {more} earlier refusals not recorded"));
        }
        entry.log();
        let limits = self.limits;
        self.database.write_in_turn(move |c| entry.insert(c, limits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: Action, object: &str) -> Entry {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let object = Some(object.to_owned());
        Entry { actor: Some("ops".to_owned()), address, action, object, detail: None }
    }

    #[test]
    fn entries_are_append_only_and_removed_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let limits = AuditConfig { entries: 10, ..AuditConfig::default() };
        for number in 0..20 {
            entry(Action::JobCreate, &number.to_string()).insert(&connection, limits).unwrap();
            entry(Action::Login, &number.to_string()).insert(&connection, limits).unwrap();
        }
        for sql in [
            "UPDATE audit SET actor = 'x'",
            "DELETE FROM audit WHERE number = 7",
            "DELETE FROM audit WHERE number > 30",
        ] {
            let error = connection.execute(sql, []).unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
        trim(&connection, limits).unwrap();
        let kept = list(&connection, i64::MAX, 100).unwrap();
        let of = |kind: &str| kept.iter().filter(|entry| entry.kind == kind).count();
        assert_eq!((of("change"), of("refusal")), (10, 20));
        assert_eq!(kept.first().map(|entry| entry.object.as_deref()), Some(Some("19")));
        trim(&connection, AuditConfig { keep: Duration::ZERO, ..limits }).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        trim(&connection, AuditConfig { keep: Duration::ZERO, ..limits }).unwrap();
        assert!(list(&connection, i64::MAX, 100).unwrap().is_empty());
    }

    #[tokio::test]
    async fn refusals_are_bounded_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("c.db")).unwrap();
        let audit = Audit::new(database.clone(), AuditConfig::default());
        for _ in 0..1000 {
            audit.refuse(entry(Action::Login, "x"));
        }
        let count = |c: &Connection| {
            let sql = "SELECT count(*) FROM audit";
            c.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(DatabaseError::from)
        };
        let recorded = database.write(count).await.unwrap();
        assert!((100..110).contains(&recorded), "{recorded}");
        assert!(audit.unrecorded.load(Ordering::Relaxed) > 800);
    }

    #[test]
    fn a_long_text_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let long = entry(Action::Login, &"ä".repeat(4 << 20));
        long.insert(&connection, AuditConfig::default()).unwrap();
        let kept = list(&connection, i64::MAX, 1).unwrap().remove(0);
        assert_eq!(kept.object.map(|text| text.len()), Some(LONGEST));
    }
}
