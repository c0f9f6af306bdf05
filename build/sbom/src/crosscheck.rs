// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the SBOM of a binary with its embedded crate list (`.dep-v0`, the format of
//! cargo-auditable): both must agree, since scanners read the list.

use std::collections::BTreeMap;

use rust::auditable::{self, List};

use crate::bom::{Bom, Scope};

/// Prefix of a crate's package URL.
const CRATE: &str = "pkg:cargo/";

/// Differences between `bom` and the binary's crate list, one sentence each.
pub fn deviations(bom: &Bom, list: &List) -> Vec<String> {
    let listed = bom
        .components
        .values()
        .filter(|it| it.purl.as_ref().is_some_and(|purl| purl.starts_with(CRATE)))
        .map(|it| ((it.name.as_str(), it.version.as_str()), it.scope));
    let carried = list.packages.iter().filter(|package| !package.root).map(|package| {
        let scope = match package.kind {
            auditable::Kind::Runtime => Scope::Required,
            auditable::Kind::Build => Scope::Excluded,
        };
        ((package.name.as_str(), package.version.as_str()), scope)
    });
    let (listed, carried): (BTreeMap<_, _>, BTreeMap<_, _>) = (listed.collect(), carried.collect());
    let mut deviations = Vec::new();
    for ((name, version), scope) in &carried {
        match listed.get(&(*name, *version)) {
            None => {
                deviations.push(format!("{name} {version} is in the binary but not in the SBOM"));
            }
            Some(found) if found != scope => deviations.push(format!(
                "{name} {version} is {found:?} in the SBOM and {scope:?} in the binary"
            )),
            Some(_) => {}
        }
    }
    for (name, version) in listed.keys().filter(|krate| !carried.contains_key(krate)) {
        deviations.push(format!("{name} {version} is in the SBOM but not in the binary"));
    }
    deviations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::{Component, Kind};

    fn list() -> List {
        let text = r#"{"packages":[
            {"name":"app","version":"0.1.0","source":"local","dependencies":[1],"root":true},
            {"name":"a","version":"1.0.0","source":"crates.io"},
            {"name":"m","version":"2.0.0","source":"crates.io","kind":"build"}],"format":1}"#;
        serde_json::from_str(text).unwrap()
    }

    fn bom(crates: &[(&str, &str, Scope)]) -> Bom {
        let component = |kind, name: &str, version: &str| {
            Component::new(kind, name, version, format!("{CRATE}{name}@{version}"))
        };
        let application = component(Kind::Application, "app", "0.1.0");
        let mut bom = Bom::new(application);
        for (name, version, scope) in crates {
            bom.add(Component { scope: *scope, ..component(Kind::Library, name, version) });
        }
        bom
    }

    #[test]
    fn an_sbom_that_matches_the_binary_passes() {
        let good = [("a", "1.0.0", Scope::Required), ("m", "2.0.0", Scope::Excluded)];
        assert_eq!(deviations(&bom(&good), &list()), Vec::<String>::new());
    }

    #[test]
    fn a_crate_too_few_too_many_of_another_version_or_scope_is_named() {
        for (crates, expected) in [
            (
                vec![("a", "1.0.0", Scope::Required)],
                vec!["m 2.0.0 is in the binary but not in the SBOM"],
            ),
            (
                vec![("a", "1.0.1", Scope::Required), ("m", "2.0.0", Scope::Required)],
                vec![
                    "a 1.0.0 is in the binary but not in the SBOM",
                    "m 2.0.0 is Required in the SBOM and Excluded in the binary",
                    "a 1.0.1 is in the SBOM but not in the binary",
                ],
            ),
        ] {
            let found = deviations(&bom(&crates), &list());
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        }
    }
}
