// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller audit`

use clap::Args;
use serde_json::Value;

use super::client::{Connection, print_json, shown, table};

#[derive(Debug, Args)]
pub(super) struct AuditCommand {
    /// How many entries, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Entries before this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    #[command(flatten)]
    connection: Connection,
}

impl AuditCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let before = self.before.map(|number| format!("&before={number}")).unwrap_or_default();
        let path = format!("/api/v1/audit?limit={}{before}", self.limit);
        let answer = self.connection.open()?.get(&path)?;
        if self.connection.json {
            print_json(&answer);
            return Ok(());
        }
        let fields = ["number", "at", "actor", "address", "action", "object", "detail"];
        let row = |entry: &Value| fields.iter().map(|field| shown(entry, field)).collect();
        let rows: Vec<Vec<String>> =
            answer["entries"].as_array().into_iter().flatten().map(row).collect();
        table(&["NUMBER", "TIME", "WHO", "FROM", "ACTION", "OBJECT", "DETAIL"], &rows);
        Ok(())
    }
}
