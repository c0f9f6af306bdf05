// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads `Cargo.toml`.

/// Identifiers of the dependencies in `tables`, including platform-specific ones.
pub(crate) fn list_dependencies(manifest: &toml::Table, tables: &[&str]) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let nested = targets.into_iter().flatten().filter_map(|(_, value)| value.as_table());
    std::iter::once(manifest)
        .chain(nested)
        .flat_map(|table| tables.iter().filter_map(|name| table.get(*name)?.as_table()))
        .flat_map(|dependencies| dependencies.keys().cloned())
        .collect()
}

/// The folder of the manifest at `path`; empty for the root.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The line, from 1, that declares `name`.
pub(crate) fn line_of(text: &str, name: &str) -> Option<usize> {
    let declares =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', '.']));
    text.lines().position(declares).map(|index| index + 1)
}
