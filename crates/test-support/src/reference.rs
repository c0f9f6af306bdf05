// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The keys of a configuration file in its page of the reference, for a comparison with the keys
//! that the program accepts.

use std::collections::{BTreeMap, BTreeSet};

/// Documented keys, each with its default as written in the page, by table: `[server]` or
/// `[[registry.access]]`.
///
/// A heading such as `## [server]` names the tables whose keys the section has, one row for one or
/// more keys. The default is in the column `default`, where there is one.
pub fn tables(page: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut tables = BTreeMap::<String, BTreeMap<String, String>>::new();
    let mut names = Vec::new();
    let mut default = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            names = heading.split(", ").filter(|it| it.starts_with('[')).collect();
        }
        let Some(row) = line.strip_prefix('|') else { continue };
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let keys: Vec<_> = cells[0].split('`').skip(1).step_by(2).collect();
        if keys.is_empty() {
            if cells[0] == "key" {
                default = cells.iter().position(|it| *it == "default");
            }
            continue;
        }
        let values = default.and_then(|at| cells.get(at)).copied().unwrap_or_default();
        let values: Vec<_> = values.split(", ").collect();
        for (index, key) in keys.iter().enumerate() {
            let value = if values.len() == keys.len() { values[index] } else { values[0] };
            for name in &names {
                let table = tables.entry((*name).to_owned()).or_default();
                let value = value.trim_matches('`').to_owned();
                assert_eq!(table.insert((*key).to_owned(), value), None, "{name} {key} twice");
            }
        }
    }
    tables
}

/// Compares the keys that the page of `file` documents with those that its program accepts, each as
/// `TABLE KEY`.
#[track_caller]
pub fn compare(file: &str, page: &str, accepted: &BTreeSet<String>) {
    let tables = tables(page);
    let documented: BTreeSet<String> = tables
        .iter()
        .flat_map(|(table, keys)| keys.keys().map(move |key| format!("{table} {key}")))
        .collect();
    let missing: Vec<_> = accepted.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(accepted).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "the reference of {file}: add rows for {missing:?}, remove {unknown:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "add rows for [\"[d] five\"], remove [\"[d] four\"]")]
    fn a_difference_is_reported() {
        compare("x", "## [d]\n| `four` | x |\n", &["[d] five".to_owned()].into());
    }

    #[test]
    fn a_row_has_keys_and_their_defaults() {
        let page = "# x\n\n| other | table |\n| --- | --- |\n| `x` | |\n\n## [a], [[b.c]]\n\n\
                    | key | default | meaning |\n| --- | --- | --- |\n| `one` | `1s` | of `x` |\n\
                    | `two`, `three` | 2, 3 | |\n\n## [d]\n\n| key | meaning |\n| `four` | or |\n";
        let tables = tables(page);
        assert_eq!(tables.keys().collect::<Vec<_>>(), ["[[b.c]]", "[a]", "[d]"]);
        let a: Vec<_> = tables["[a]"].iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(a, ["one=1s", "three=3", "two=2"]);
        assert_eq!(tables["[[b.c]]"], tables["[a]"]);
        assert_eq!(tables["[d]"]["four"], "");
        compare("x", "## [d]\n| `four` | x |\n", &["[d] four".to_owned()].into());
    }
}
