// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registered servers and how to reach their BMCs.

use axum::http::Uri;
use recipe::network::Network;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde::de::DeserializeOwned;

use crate::database::{DatabaseError, rows};
use crate::jobs::bmc::{Target, TlsPolicy};
use crate::jobs::clock;
use crate::keyring::{KeyError, Keyring, Sealed};
use crate::labels::{IN_SCOPE, Labels, Scope};

/// A registered server. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Serial number.
    pub serial: String,
    /// `http://` or `https://` URL with optional port and path, without user information.
    pub bmc_url: String,
    /// BMC user.
    pub username: String,
    /// BMC password.
    password: Sealed,
    /// Name of the vendor profile; None: detected.
    pub profile: Option<String>,
    /// Verification of the BMC's certificate.
    pub tls: TlsPolicy,
    /// `tls` as stored in the database.
    tls_text: String,
    /// Labels.
    pub labels: Labels,
    /// Network of the host; None: DHCP.
    pub network: Option<Network>,
    /// Time of registration.
    pub created_at: i64,
    /// Time of the last change.
    pub updated_at: i64,
    /// User who registered the server; None: registered before users were recorded.
    pub created_by: Option<String>,
    /// User who made the last change.
    pub updated_by: Option<String>,
}

impl Server {
    /// Returns URL and credentials of the BMC.
    ///
    /// # Errors
    /// If the password cannot be decrypted.
    pub fn target(&self, keys: &Keyring) -> Result<Target, KeyError> {
        Ok(Target {
            serial: self.serial.clone(),
            bmc_url: self.bmc_url.clone(),
            username: self.username.clone(),
            password: keys.open(&self.password, &self.associated_data())?,
            profile: self.profile.clone(),
            tls: self.tls.clone(),
        })
    }

    /// Returns whether `bmc_url` and `tls` have the same scheme, host, port and TLS policy as this
    /// server,
    /// so that the stored password goes to the same BMC.
    pub fn has_destination(&self, bmc_url: &str, tls: &TlsPolicy) -> bool {
        let (before, after) = (origin(&self.bmc_url), origin(bmc_url));
        before.is_some() && before == after && self.tls == *tls
    }

    /// Associated data of the encrypted password: an edit of the database cannot redirect the
    /// password to another BMC.
    fn associated_data(&self) -> [&str; 4] {
        [&self.serial, &self.bmc_url, &self.username, &self.tls_text]
    }
}

/// Returns scheme, host and port.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = if scheme == "http" { 80 } else { 443 };
    Some((scheme, uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

fn server(row: &Row<'_>) -> rusqlite::Result<Server> {
    /// Parses the JSON in a column; NULL is `null`.
    fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
        let column = row.as_ref().column_index(column)?;
        let text = row.get_ref(column)?.as_str_or_null()?;
        serde_json::from_str(text.unwrap_or("null"))
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
    }
    Ok(Server {
        serial: row.get("serial")?,
        bmc_url: row.get("bmc_url")?,
        username: row.get("username")?,
        password: Sealed { text: row.get("password")?, key: row.get("password_key")? },
        profile: row.get("profile")?,
        tls: json(row, "tls")?,
        tls_text: row.get("tls")?,
        labels: json(row, "labels")?,
        network: json(row, "network")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        created_by: row.get("created_by")?,
        updated_by: row.get("updated_by")?,
    })
}

/// Returns a server by its serial number.
///
/// # Errors
/// If the database fails.
pub fn find(
    connection: &Connection,
    scope: &Scope,
    serial: &str,
) -> Result<Option<Server>, DatabaseError> {
    let sql = format!("SELECT * FROM servers WHERE serial = :serial AND {IN_SCOPE}");
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! { ":serial": serial, ":scope": scope };
    Ok(statement.query_row(parameters, server).optional()?)
}

/// Returns at most `limit` servers that match `selector`, with a serial number greater than `after`,
/// sorted.
///
/// # Errors
/// If the database fails.
pub fn list(
    connection: &Connection,
    scope: &Scope,
    selector: &Scope,
    after: &str,
    limit: u32,
) -> Result<Vec<Server>, DatabaseError> {
    let is_selected = IN_SCOPE.replace(":scope", ":selector");
    let sql = format!(
        "SELECT * FROM servers WHERE serial > :after AND {IN_SCOPE} AND {is_selected} \
         ORDER BY serial LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":after": after, ":scope": scope, ":selector": selector, ":limit": limit,
    };
    let rows = statement.query_map(parameters, server)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the number of servers.
///
/// # Errors
/// If the database fails.
pub fn count(connection: &Connection) -> Result<i64, DatabaseError> {
    Ok(connection.query_row("SELECT count(*) FROM servers", [], |row| row.get(0))?)
}

/// Registers a server as `user`, or updates its access data. Returns whether it is new.
///
/// # Errors
/// If the password cannot be encrypted, or the database fails.
pub fn put(
    connection: &Connection,
    keys: &Keyring,
    target: &Target,
    labels: &Labels,
    user: &str,
) -> Result<bool, DatabaseError> {
    let Target { serial, bmc_url, username, password, profile, tls } = target;
    let new = find(connection, &Scope::ALL, serial)?.is_none();
    let tls = serde_json::to_string(tls).map_err(|e| DatabaseError::Other(e.to_string()))?;
    let sealed = keys.seal(password, &[serial, bmc_url, username, &tls])?;
    let now = clock::now();
    let values = named_params! {
        ":serial": serial,
        ":bmc_url": bmc_url,
        ":username": username,
        ":password": sealed.text,
        ":password_key": sealed.key,
        ":profile": profile,
        ":tls": tls,
        ":labels": labels.to_json(),
        ":created_at": now,
        ":updated_at": now,
        ":created_by": user,
        ":updated_by": user,
    };
    rows::put(connection, "servers", "serial", &["created_at", "created_by"], values)?;
    Ok(new)
}

/// Sets the network of a server's host; None: DHCP.
///
/// # Errors
/// If the database fails.
pub fn set_network(
    connection: &Connection,
    serial: &str,
    network: Option<&Network>,
) -> Result<(), DatabaseError> {
    let text = network.map(serde_json::to_string).transpose();
    let text = text.map_err(|e| DatabaseError::Other(e.to_string()))?;
    let sql = "UPDATE servers SET network = ?2 WHERE serial = ?1";
    connection.prepare_cached(sql)?.execute(params![serial, text])?;
    Ok(())
}

/// Removes a server. Returns whether it existed.
///
/// # Errors
/// If the database fails.
pub fn remove(connection: &Connection, serial: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM servers WHERE serial = ?1";
    Ok(connection.prepare_cached(sql)?.execute([serial])? == 1)
}

/// Encrypts every password that is stored as plain text or with an old key. Decrypts all others, so
/// that a wrong key is noticed before a job needs it. All or nothing. Returns the number of
/// encrypted passwords.
///
/// # Errors
/// Names the server whose password cannot be decrypted.
pub fn encrypt_all(connection: &mut Connection, keys: &Keyring) -> Result<usize, DatabaseError> {
    let transaction = connection.transaction()?;
    let (mut changed, mut after) = (0, String::new());
    loop {
        let servers = list(&transaction, &Scope::ALL, &Scope::ALL, &after, 1000)?;
        let Some(last) = servers.last() else { break };
        after.clone_from(&last.serial);
        for server in &servers {
            let failed = |error| {
                DatabaseError::Key(format!("the BMC password of server {}: {error}", server.serial))
            };
            let password =
                keys.open(&server.password, &server.associated_data()).map_err(failed)?;
            if server.password.key.as_deref() == keys.current_id() {
                continue;
            }
            let sealed = keys.seal(&password, &server.associated_data()).map_err(failed)?;
            let sql = "UPDATE servers SET password = ?2, password_key = ?3 WHERE serial = ?1";
            let mut statement = transaction.prepare_cached(sql)?;
            statement.execute(params![server.serial, sealed.text, sealed.key])?;
            changed += 1;
        }
    }
    transaction.commit()?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::jobs::bmc::Secret;
    use crate::keyring::Key;

    const PASSWORD: &str = "of-the-bmc-in-this-test";

    fn target(serial: &str) -> Target {
        Target {
            serial: serial.to_owned(),
            bmc_url: "https://bmc.example".to_owned(),
            username: "admin".to_owned(),
            password: Secret::new(PASSWORD),
            profile: None,
            tls: TlsPolicy::System,
        }
    }

    fn keys(current: &str, old: &[&str]) -> Keyring {
        let key = |letter: &str| Key::new(letter.repeat(32).as_bytes()).unwrap();
        Keyring::new(Some(key(current)), old.iter().copied().map(key).collect())
    }

    #[test]
    fn a_destination_is_scheme_host_port_and_tls_policy() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let keys = Keyring::default();
        put(&connection, &keys, &target("S1"), &Labels::default(), "ops").unwrap();
        let server = find(&connection, &Scope::ALL, "S1").unwrap().unwrap();
        for same in ["https://bmc.example", "https://BMC.example:443/", "https://bmc.example/x"] {
            assert!(server.has_destination(same, &TlsPolicy::System), "{same}");
            assert!(!server.has_destination(same, &TlsPolicy::Off), "{same}");
        }
        for other in ["http://bmc.example", "https://bmc.example:8443", "https://bmc.example.x", ""]
        {
            assert!(!server.has_destination(other, &TlsPolicy::System), "{other}");
        }
    }

    /// A database with schema 1 and a plain-text password.
    #[test]
    fn plain_passwords_are_encrypted_and_erased() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        old.execute_batch(include_str!("database/schema-1.sql")).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        let sql = "INSERT INTO servers VALUES (?1, 'https://bmc.example', 'admin', ?2, NULL, '{\"verify\":\"system\"}', 0, 0)";
        for number in 0..50 {
            old.execute(sql, [format!("S{number}").as_str(), PASSWORD]).unwrap();
        }
        drop(old);
        let files = || {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect::<Vec<u8>>()
        };
        let is_plain = || files().windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes());
        assert!(is_plain());
        let keys = std::sync::Arc::new(keys("a", &[]));
        let (database, changed) =
            Database::open_with(&path, std::sync::Arc::clone(&keys), |c| encrypt_all(c, &keys))
                .unwrap();
        assert_eq!(changed, 50);
        // Also while the database is open: its write-ahead log must not contain the password.
        assert!(!is_plain());
        let connection = Database::connect(&path).unwrap();
        let server = find(&connection, &Scope::ALL, "S49").unwrap().unwrap();
        assert_eq!(server.target(&keys).unwrap().password.expose(), PASSWORD);
        assert_eq!((server.created_by, server.labels.is_empty()), (None, true));
        drop(database);
    }

    #[test]
    fn a_rotation_encrypts_again_and_a_wrong_key_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Database::connect(&folder.path().join("c.db")).unwrap();
        for serial in ["S1", "S2"] {
            put(&connection, &keys("a", &[]), &target(serial), &Labels::default(), "ops").unwrap();
        }
        let all =
            |connection: &Connection| list(connection, &Scope::ALL, &Scope::ALL, "", 10).unwrap();
        let before = all(&connection);
        for wrong in [keys("b", &[]), Keyring::default()] {
            let error = encrypt_all(&mut connection, &wrong).unwrap_err().to_string();
            assert!(error.contains("of server S1: it is encrypted with key"), "{error}");
        }
        assert_eq!(all(&connection), before);
        assert_eq!(encrypt_all(&mut connection, &keys("b", &["a"])).unwrap(), 2);
        assert_eq!(encrypt_all(&mut connection, &keys("b", &["a"])).unwrap(), 0);
        // The old key is no longer needed.
        assert_eq!(encrypt_all(&mut connection, &keys("b", &[])).unwrap(), 0);
        for server in all(&connection) {
            let password = server.target(&keys("b", &[])).unwrap().password;
            assert_eq!(password.expose(), PASSWORD);
        }
        // An edited row must not redirect the password.
        let moved = "UPDATE servers SET bmc_url = 'https://other.example' WHERE serial = 'S1'";
        connection.execute(moved, []).unwrap();
        let error = encrypt_all(&mut connection, &keys("b", &[])).unwrap_err().to_string();
        assert!(error.contains("changed without the key"), "{error}");
    }

    #[test]
    fn a_scope_is_a_group_of_labels() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let labels = |text: &str| text.parse::<Labels>().unwrap();
        for (serial, text) in
            [("S1", "site=berlin,rack=1"), ("S2", "site=berlin"), ("S3", "site=rome")]
        {
            put(&connection, &Keyring::default(), &target(serial), &labels(text), "ops").unwrap();
        }
        put(&connection, &Keyring::default(), &target("S4"), &Labels::default(), "ops").unwrap();
        let seen = |scope: &Scope| {
            let servers = list(&connection, scope, &Scope::ALL, "", 10).unwrap();
            servers.into_iter().map(|server| server.serial).collect::<Vec<_>>()
        };
        assert_eq!(seen(&Scope::ALL), ["S1", "S2", "S3", "S4"]);
        let (berlin, rack) = (labels("site=berlin"), labels("rack=1,site=berlin"));
        assert_eq!(seen(&Scope::groups([&berlin])), ["S1", "S2"]);
        assert_eq!(seen(&Scope::groups([&rack, &labels("site=rome")])), ["S1", "S3"]);
        assert!(seen(&Scope::groups([])).is_empty());
        let scope = Scope::groups([&berlin]);
        let selected = list(&connection, &scope, &Scope::groups([&rack]), "", 10).unwrap();
        assert_eq!(selected.into_iter().map(|it| it.serial).collect::<Vec<_>>(), ["S1"]);
        assert!(find(&connection, &scope, "S2").unwrap().is_some());
        assert!(find(&connection, &scope, "S3").unwrap().is_none());
    }

    #[test]
    fn the_database_refuses_values_that_are_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Database::connect(&folder.path().join("c.db")).unwrap();
        let long = target(&"S".repeat(4 << 20));
        let error = put(&connection, &Keyring::default(), &long, &Labels::default(), "ops");
        assert!(error.unwrap_err().to_string().contains("too long"));
    }
}
