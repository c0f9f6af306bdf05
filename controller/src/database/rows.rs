// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Maps rows to types by column name, so that no statement depends on the column order.

use rusqlite::{Connection, ToSql};

/// Implements reading of a type from a row: each field from the column of the same name.
macro_rules! columns {
    ($name:ident: $first:ident $(, $field:ident)* $(,)?) => {
        impl $name {
            /// Column list for SELECT.
            const COLUMNS: &str = concat!(stringify!($first) $(, ", ", stringify!($field))*);

            fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                Ok(Self {
                    $first: row.get(stringify!($first))?,
                    $($field: row.get(stringify!($field))?),*
                })
            }
        }
    };
}

pub(crate) use columns;

/// Values by column name with a leading colon, as `named_params!` makes them.
pub(crate) type Values<'a> = &'a [(&'a str, &'a dyn ToSql)];

fn insertion(table: &str, values: Values<'_>) -> String {
    let parameters: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let parameters = parameters.join(", ");
    let columns = parameters.replace(':', "");
    format!("INSERT INTO {table} ({columns}) VALUES ({parameters})")
}

/// Inserts a row.
pub(crate) fn insert(
    connection: &Connection,
    table: &str,
    values: Values<'_>,
) -> rusqlite::Result<()> {
    connection.prepare_cached(&insertion(table, values))?.execute(values)?;
    Ok(())
}

/// Inserts a row, or updates the one with the same `key` except for its columns `kept`.
pub(crate) fn put(
    connection: &Connection,
    table: &str,
    key: &str,
    kept: &[&str],
    values: Values<'_>,
) -> rusqlite::Result<()> {
    let names = values.iter().map(|(name, _)| name.trim_start_matches(':'));
    let changed = names.filter(|name| *name != key && !kept.contains(name));
    let changes: Vec<String> = changed.map(|name| format!("{name} = excluded.{name}")).collect();
    let insertion = insertion(table, values);
    let sql = format!("{insertion} ON CONFLICT ({key}) DO UPDATE SET {}", changes.join(", "));
    connection.prepare_cached(&sql)?.execute(values)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::named_params;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Item {
        name: String,
        made: i64,
        size: Option<i64>,
    }

    columns!(Item: name, made, size);

    #[test]
    fn a_row_is_read_and_written_by_names() {
        let connection = Connection::open_in_memory().unwrap();
        // The column order differs from the field order.
        let table = "CREATE TABLE items (size INTEGER, made INTEGER, name TEXT PRIMARY KEY)";
        connection.execute_batch(table).unwrap();
        let put = |name: &str, made: i64, size: Option<i64>| {
            let values = named_params! { ":name": name, ":made": made, ":size": size };
            put(&connection, "items", "name", &["made"], values)
        };
        put("a", 1, None).unwrap();
        put("a", 2, Some(7)).unwrap();
        let values = named_params! { ":name": "b", ":made": 3 };
        insert(&connection, "items", values).unwrap();
        insert(&connection, "items", values).unwrap_err();
        let sql = format!("SELECT {} FROM items ORDER BY name", Item::COLUMNS);
        let mut statement = connection.prepare(&sql).unwrap();
        let items: Vec<Item> =
            statement.query_map([], Item::read).unwrap().map(Result::unwrap).collect();
        let item = |name: &str, made, size| Item { name: name.to_owned(), made, size };
        assert_eq!(items, [item("a", 1, Some(7)), item("b", 3, None)]);
    }
}
