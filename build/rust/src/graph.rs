// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The crates of a binary, resolved by `cargo tree`.
//!
//! `cargo metadata` unifies features over the whole workspace; `cargo tree --package …` resolves
//! those of the selected packages for one target, as `cargo build --package …` does. Only the tree
//! shows what is linked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::toolchain::Target;

/// A crate by name and version, which are unique in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Crate {
    /// Name in `Cargo.toml`.
    pub name: String,
    /// Semantic version.
    pub version: String,
}

/// A crate with all its dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The package itself.
    pub root: Crate,
    /// All crates including the root, with their direct dependencies.
    pub edges: BTreeMap<Crate, BTreeSet<Crate>>,
}

/// Edges that `cargo tree` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Crates whose code is in the binary: no build scripts, no procedural macros.
    Linked,
    /// Also build-time crates.
    Built,
}

/// Arguments of cargo that print the crates of `packages`, with the features of
/// [`crate::build::command`] for the same packages.
pub fn arguments(packages: &[&str], target: Target, edges: Edges) -> Vec<String> {
    let edges = match edges {
        Edges::Linked => "normal,no-proc-macro",
        Edges::Built => "normal,build",
    };
    let triple = target.triple();
    ["tree", "--locked", "--target", &triple, "--edges", edges]
        .into_iter()
        .chain(packages.iter().flat_map(|package| ["--package", package]))
        .chain(["--prefix", "depth", "--format", "{p}"])
        .map(str::to_owned)
        .collect()
}

/// Parses the output of `cargo tree --prefix depth --format {p}` and returns the graph of the crate
/// `root`, one of the printed roots.
///
/// # Errors
/// When the text has another form, or `root` is none of its roots.
pub fn parse(text: &str, root: &str) -> Result<Graph> {
    let mut found_root = None;
    let mut edges: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    let mut ancestors: Vec<Crate> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let place = || format!("line {} of `cargo tree`: {line:?}", number + 1);
        let (depth, found) = parse_line(line).with_context(place)?;
        if depth > ancestors.len() {
            bail!("{}: deeper than its parent allows", place());
        }
        ancestors.truncate(depth);
        edges.entry(found.clone()).or_default();
        match ancestors.last() {
            Some(parent) => {
                edges.entry(parent.clone()).or_default().insert(found.clone());
            }
            None if found.name == root => found_root = Some(found.clone()),
            None => (),
        }
        ancestors.push(found);
    }
    let root = found_root.with_context(|| format!("`cargo tree` did not print {root}"))?;
    let edges = find_reachable(&root, &edges);
    Ok(Graph { root, edges })
}

/// The part of `edges` that `root` depends on, with `root`.
fn find_reachable(
    root: &Crate,
    edges: &BTreeMap<Crate, BTreeSet<Crate>>,
) -> BTreeMap<Crate, BTreeSet<Crate>> {
    let mut reached = BTreeMap::new();
    let mut pending = vec![root];
    while let Some(next) = pending.pop() {
        if let Some(after) = edges.get(next)
            && reached.insert(next.clone(), after.clone()).is_none()
        {
            pending.extend(after);
        }
    }
    reached
}

/// Parses `DEPTHname vVERSION[ (proc-macro)][ (SOURCE)][ (*)]`.
fn parse_line(line: &str) -> Result<(usize, Crate)> {
    const FORM: &str = "expected a depth, a name and a version";
    let digits = line.find(|c: char| !c.is_ascii_digit()).context(FORM)?;
    let (depth, rest) = line.split_at(digits);
    let (name, rest) = rest.split_once(" v").context(FORM)?;
    let version = rest.split(' ').next().filter(|version| !version.is_empty()).context(FORM)?;
    let depth = depth.parse().context(FORM)?;
    Ok((depth, Crate { name: name.to_owned(), version: version.to_owned() }))
}

impl fmt::Display for Crate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// SHA-256 of crate archives in `Cargo.lock`. Workspace crates have none.
pub fn checksums(lock: &str) -> Result<BTreeMap<Crate, String>> {
    of_lock(lock, |package| package.checksum)
}

/// Sources of crates in `Cargo.lock`. Workspace crates have none.
pub fn sources(lock: &str) -> Result<BTreeMap<Crate, String>> {
    of_lock(lock, |package| package.source)
}

/// A package of `Cargo.lock`.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

fn of_lock(
    lock: &str,
    field: impl Fn(Package) -> Option<String>,
) -> Result<BTreeMap<Crate, String>> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<Package>,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock is malformed")?;
    Ok(lock
        .package
        .into_iter()
        .filter_map(|package| {
            let krate = Crate { name: package.name.clone(), version: package.version.clone() };
            Some((krate, field(package)?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(name: &str, version: &str) -> Crate {
        Crate { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn a_tree_becomes_a_graph() {
        let text = "0app v0.1.0 (/somewhere/app)\n1a v1.0.0\n2c v3.0.0-rc.1+x (proc-macro)\n\
                    1b v2.0.0 (proc-macro) (/else where/b)\n2a v1.0.0 (*)\n\n";
        let graph = parse(text, "app").unwrap();
        let (app, a) = (krate("app", "0.1.0"), krate("a", "1.0.0"));
        let (b, c) = (krate("b", "2.0.0"), krate("c", "3.0.0-rc.1+x"));
        assert_eq!(graph.root, app);
        let expected = BTreeMap::from([
            (app, BTreeSet::from([a.clone(), b.clone()])),
            (a.clone(), BTreeSet::from([c.clone()])),
            (b, BTreeSet::from([a])),
            (c, BTreeSet::new()),
        ]);
        assert_eq!(graph.edges, expected);
    }

    #[test]
    fn a_tree_of_several_roots_has_a_graph_for_each() {
        // cargo prints the dependencies of a crate once, under the first root that has it.
        let text = "0app v0.1.0\n1a v1.0.0\n2b v1.0.0\n0other v0.1.0\n1a v1.0.0 (*)\n1c v1.0.0\n";
        let names = |root| {
            let edges = parse(text, root).unwrap().edges;
            edges.into_keys().map(|krate| krate.name).collect::<Vec<_>>()
        };
        assert_eq!(names("app"), ["a", "app", "b"]);
        assert_eq!(names("other"), ["a", "b", "c", "other"]);
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        for bad in ["x", "1", "0app", "0app v", "0app v1\n2deep v1", "0other v1", ""] {
            assert!(parse(bad, "app").is_err(), "{bad:?}");
        }
        let error = format!("{:#}", parse("0app v1.0.0\nwarning: x\n", "app").unwrap_err());
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn checksums_come_from_the_lock_file() {
        let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    source = \"registry\"\nchecksum = \"00ff\"\n\
                    [[package]]\nname = \"own\"\nversion = \"0.1.0\"\ndependencies = [\"a\"]\n";
        let sums = checksums(lock).unwrap();
        assert_eq!(sums, BTreeMap::from([(krate("a", "1.0.0"), "00ff".to_owned())]));
        assert!(checksums("[[package]]\nname = 3\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s)([0-3]?[a-c ]{0,3}( v1)?.?\n){0,6}") {
            drop(parse(&text, "a"));
        }
    }
}
