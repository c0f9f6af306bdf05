// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Limits the number of xtask's build units, since every contributor and CI job compiles it first,
//! and forbids dependencies that belong to `notary`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Maximum number of build units, including compiled and run build scripts.
const LIMIT: usize = 165;
/// Async runtimes, TLS, cryptography beyond hashes.
const FORBIDDEN: &[&str] = &[
    "ed25519_dalek",
    "native_tls",
    "openssl",
    "p256",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "tokio",
];

#[test]
fn xtask_stays_light() {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--package",
            "xtask",
            "--unit-graph",
            "-Z",
            "unstable-options",
            "--offline",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        // The unit graph is an unstable option of cargo; nothing is compiled with this variable.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let graph: Value = serde_json::from_slice(&output.stdout).unwrap();
    let units = graph["units"].as_array().unwrap();
    let count = units.len();
    eprintln!("xtask is {count} build units");
    assert!(
        count <= LIMIT,
        "xtask is {count} build units, {LIMIT} are allowed. Without each of its dependencies it \
         would be less by:\n{}",
        weights(&graph).join("\n")
    );
    assert!(count > 1, "the graph was not read");
    let names = units.iter().filter_map(|unit| unit["target"]["name"].as_str());
    let forbidden: Vec<_> = names.filter(|name| FORBIDDEN.contains(name)).collect();
    assert!(forbidden.is_empty(), "xtask must not link {forbidden:?}: that is for notary");
}

/// Number of build units that each direct dependency adds alone, largest first.
fn weights(graph: &Value) -> Vec<String> {
    let units = graph["units"].as_array().unwrap();
    let index = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let edges: Vec<Vec<usize>> = units
        .iter()
        .map(|unit| {
            unit["dependencies"].as_array().unwrap().iter().map(|it| index(&it["index"])).collect()
        })
        .collect();
    let root = index(&graph["roots"][0]);
    let reach = |without: Option<usize>| {
        let mut seen = BTreeSet::from([root]);
        let mut next = vec![root];
        while let Some(unit) = next.pop() {
            for other in &edges[unit] {
                if Some(*other) != without && seen.insert(*other) {
                    next.push(*other);
                }
            }
        }
        seen.len()
    };
    let all = reach(None);
    let mut weights: Vec<(usize, &str)> = edges[root]
        .iter()
        .map(|unit| (all - reach(Some(*unit)), units[*unit]["target"]["name"].as_str().unwrap()))
        .collect();
    weights.sort_by(|a, b| b.cmp(a));
    weights.iter().map(|(weight, name)| format!("  {weight:3} {name}")).collect()
}
