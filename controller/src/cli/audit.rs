// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller audit`

use clap::Args;

use super::client::{Connection, table, text};
use crate::api::views::{AuditEntry, AuditList};

#[derive(Debug, Args)]
pub(super) struct AuditCommand {
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Only entries before this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    #[command(flatten)]
    connection: Connection,
}

impl AuditCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let before = self.before.map(|number| format!("&before={number}")).unwrap_or_default();
        let path = format!("/api/v1/audit?limit={}{before}", self.limit);
        let reply = self.connection.open()?.get(&path)?;
        self.connection.show(&reply, |list: AuditList| {
            let heading = ["NUMBER", "TIME", "WHO", "FROM", "ACTION", "OBJECT", "DETAIL"];
            table(heading, list.entries.into_iter().map(row))
        })
    }
}

fn row(entry: AuditEntry) -> [String; 7] {
    let AuditEntry { number, at, kind: _, actor, address, action, object, detail } = entry;
    let [actor, address, object, detail] = [actor, address, object, detail].map(text);
    [number.to_string(), at.to_string(), actor, address, action, object, detail]
}
