// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SBOMs: the number of components, and their licences.

use std::collections::{BTreeMap, BTreeSet};

use foundation::text::count;
use maud::{Markup, html};

use super::components::Component;
use super::input::Release;
use super::table;

/// The section of the page.
pub(crate) fn section(release: &Release) -> Markup {
    let sboms = || release.sboms.values().filter_map(|it| it.as_ref().ok());
    let all: BTreeMap<(&str, &str), BTreeSet<&str>> = sboms()
        .flat_map(|it| &it.0)
        .map(|it| ((it.name.as_str(), it.version.as_str()), licenses(it)))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for license in all.values().flatten() {
        *counts.entry(license).or_default() += 1;
    }
    let without = all.values().filter(|licenses| licenses.is_empty()).count();
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, number)| (std::cmp::Reverse(*number), *name));
    html! {
        @if release.sboms.is_empty() {
            p.missing { "The release has no SBOM: run " code { "cargo xtask sbom" } "." }
        } @else {
            p {
                (all.len()) " different components in " (count(release.sboms.len(), "SBOM"))
                ", " (count(counts.len(), "licence")) ", "
                (count(without, "component")) " without a licence."
            }
            ul.chips { @for (name, number) in counts { li { (name) " " b { (number) } } } }
            @let rows = release.sboms.iter().map(|(subject, sbom)| [
                html! { (subject) },
                match sbom {
                    Ok(sbom) => html! { (sbom.0.len()) },
                    Err(reason) => html! { span.missing { (reason) } },
                },
            ]);
            (table::render(["SBOM of", "#components"], rows))
        }
    }
}

/// The licences that the expressions of a component name, each with its exception (SPDX 2.3, annex
/// D). Malformed expressions are listed by their words: this only counts.
fn licenses(component: &Component) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for license in &component.licenses {
        let parts = license.expression.split(['(', ')']);
        let parts = parts.flat_map(|it| it.split(" AND ")).flat_map(|it| it.split(" OR "));
        found.extend(parts.map(str::trim).filter(|it| !matches!(*it, "" | "AND" | "OR")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::License;

    #[test]
    fn licences_are_counted_one_by_one() {
        let named = |expression: &str| {
            let license = License { expression: expression.to_owned() };
            let (name, version) = ("x".to_owned(), "1".to_owned());
            let component = Component { name, version, scope: None, licenses: vec![license] };
            licenses(&component).into_iter().collect::<Vec<_>>().join("; ")
        };
        assert_eq!(named("MIT"), "MIT");
        assert_eq!(
            named("MIT OR Apache-2.0 WITH LLVM-exception"),
            "Apache-2.0 WITH LLVM-exception; MIT"
        );
        assert_eq!(
            named("(MIT OR ISC) AND (BSD-3-Clause AND (Zlib OR 0BSD)) AND MIT"),
            "0BSD; BSD-3-Clause; ISC; MIT; Zlib"
        );
    }
}
