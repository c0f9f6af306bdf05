// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Opens the configured database, and ends what an earlier process left running.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Config;
use crate::database::{Database, DatabaseError};
use crate::inventory;
use crate::operations;

/// Opens the database and encrypts its passwords with the configured key.
pub(crate) fn database(config: &Config) -> anyhow::Result<Database> {
    let keys = Arc::new(config.storage_keys.read().map_err(anyhow::Error::msg)?);
    let path = config.database();
    let opened = Database::open_with(&path, Arc::clone(&keys), |c| {
        let interrupted = operations::end_interrupted(c)?;
        if interrupted > 0 {
            tracing::warn!(
                interrupted,
                "operations of an earlier process were interrupted; fix: check their servers, then \
                 request them again"
            );
        }
        inventory::encrypt_all(c, &keys)
    });
    let name = path.display();
    let (database, passwords) = match opened {
        Err(error @ DatabaseError::Key(_)) => anyhow::bail!(
            "cannot open {name}: {error}\nfix: name the file of that key in storage.key, or in storage.old_keys to replace it"
        ),
        opened => opened.with_context(|| format!("cannot open {name}"))?,
    };
    match keys.current_id() {
        Some(key) if passwords > 0 => {
            tracing::info!(passwords, key, "encrypted BMC passwords with the current key");
        }
        Some(_) => {}
        None => tracing::warn!(
            database = %name,
            "BMC passwords are stored unencrypted; fix: `openssl rand -base64 48 > FILE`, and FILE as \
             storage.key in controller.toml, see docs/how-to/install-the-controller.md"
        ),
    }
    Ok(database)
}
