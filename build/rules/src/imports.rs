// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Import cycles between the files of a crate.
//!
//! A file imports another if it names an item of it: in a `use`, or in a path that starts with
//! `crate`, `super`, `self` or a declared module. A re-exported name (`pub use`) counts as import
//! of the defining file. A module and its submodules are one unit: imports from an ancestor module
//! do not count. Test code does not count. The check reads tokens, not types, so imports by macros
//! are not seen.

mod scan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foundation::finding::Finding;
use foundation::source::{self, File};

use self::scan::{Import, scan};

/// Modules of a crate by path below its root; the root is the empty path.
type Modules<'a> = BTreeMap<Vec<String>, Module<'a>>;

/// A module in its own file.
struct Module<'a> {
    file: &'a str,
    imports: Vec<Import>,
    /// Imported names with their absolute paths: other modules may reach them through this one.
    names: BTreeMap<String, Vec<String>>,
}

/// Imports by file: imported files, with line and name.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (usize, String)>>;

/// Findings for import cycles among `files`, the workspace's Rust source with crates in the folders
/// `crates`.
pub fn find_cycles(crates: &[&str], files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in crates {
        let root = format!("{folder}/src/");
        let own: Vec<_> = files
            .iter()
            .filter(|file| file.path.starts_with(&root) && !source::is_test_code(&file.path))
            .collect();
        let edges = edges(&modules(&root, &own));
        findings.extend(components(&edges).iter().map(|cycle| finding(cycle, &edges)));
    }
    findings
}

/// `src/a/b.rs` and `src/a/b/mod.rs` as `a::b`.
fn path_of(below: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        below.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let root = parts.len() == 1 && parts.iter().any(|it| it == "lib" || it == "main");
    if root || parts.last().is_some_and(|it| it == "mod") {
        parts.pop();
    }
    parts
}

fn modules<'a>(root: &str, files: &[&'a File]) -> Modules<'a> {
    let has_library = files.iter().any(|file| file.path == format!("{root}lib.rs"));
    let mut modules = Modules::new();
    for file in files {
        let Some(below) = file.path.strip_prefix(root) else { continue };
        // Beside a library, a binary is a separate crate that refers to the library by name.
        if below.starts_with("bin/") || (has_library && below == "main.rs") {
            continue;
        }
        let path = path_of(below);
        let imports = scan(&file.text, &path);
        let taken = imports.iter().filter_map(|it| Some((it.name.clone()?, it.path.clone())));
        let names = taken.collect();
        modules.insert(path, Module { file: &file.path, imports, names });
    }
    modules
}

fn edges<'a>(modules: &Modules<'a>) -> Edges<'a> {
    let mut edges = Edges::new();
    for (own, module) in modules {
        for import in &module.imports {
            let Some((path, name)) = resolve(modules, &import.path) else { continue };
            // A re-export from a submodule is not a use, and a submodule is part of the same unit.
            let passes_on = import.is_public && path.len() > own.len() && path.starts_with(own);
            let is_within = own.len() > path.len() && own.starts_with(path);
            let Some(target) = modules.get(path) else { continue };
            if passes_on || is_within || target.file == module.file {
                continue;
            }
            let of = edges.entry(module.file).or_default();
            of.entry(target.file).or_insert((import.line, name));
        }
    }
    edges
}

/// Resolves `path` to its defining module and the item's name.
fn resolve<'m>(modules: &'m Modules<'_>, path: &[String]) -> Option<(&'m [String], String)> {
    let mut path = path.to_vec();
    // Each round follows one `pub use`; the limit stops cycles of re-exports.
    for _ in 0..16 {
        let length = (0..=path.len())
            .rev()
            .find(|it| modules.contains_key(path.get(..*it).unwrap_or(&[])))?;
        let (own, module) = modules.get_key_value(path.get(..length)?)?;
        let rest = path.get(length..)?;
        let Some(name) = rest.first() else {
            return Some((own, own.last().cloned().unwrap_or_default()));
        };
        match module.names.get(name) {
            Some(target) if *target != path => {
                path = target.iter().chain(rest.get(1..)?).cloned().collect();
            }
            _ => return Some((own, name.clone())),
        }
    }
    None
}

/// Import cycles: each is a sorted list of files that reach each other.
fn components<'a>(edges: &Edges<'a>) -> BTreeSet<Vec<&'a str>> {
    let reach = |from: &'a str| -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            let others = edges.get(file).into_iter().flat_map(BTreeMap::keys);
            next.extend(others.copied().filter(|other| seen.insert(*other)));
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|file| (*file, reach(file))).collect();
    let mutual = |one: &str, other: &str| reached.get(other).is_some_and(|it| it.contains(one));
    let cycle = |file: &&'a str| -> Option<Vec<&'a str>> {
        let others = reached.get(file)?.iter().filter(|other| mutual(file, other));
        let others: Vec<_> = others.copied().collect();
        others.contains(file).then_some(others)
    };
    edges.keys().filter_map(cycle).collect()
}

/// The finding with the shortest path around from the first file of a cycle.
fn finding(cycle: &[&str], edges: &Edges<'_>) -> Finding {
    let Some(start) = cycle.first() else { return Finding::in_file("", "import-cycle", "", "") };
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([*start]);
    'search: while let Some(file) = next.pop_front() {
        for other in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
            if cycle.contains(other) && !before.contains_key(other) {
                before.insert(other, file);
                if other == start {
                    break 'search;
                }
                next.push_back(other);
            }
        }
    }
    let mut way = vec![*start];
    while let Some(file) = way.last().and_then(|it| before.get(it)) {
        way.push(file);
        if file == start || way.len() > cycle.len() + 1 {
            break;
        }
    }
    way.reverse();
    let edge = |from: &str, to: &str| edges.get(from).and_then(|it| it.get(to));
    let mut text = (*start).to_owned();
    let mut line = None;
    for (from, to) in way.iter().zip(way.iter().skip(1)) {
        let Some((at, name)) = edge(from, to) else { continue };
        line = line.or(Some(*at));
        let which = if to == start { "" } else { ", which" };
        text.push_str(&format!(" imports {name} from {to}{which}"));
    }
    Finding {
        line,
        ..Finding::in_file(
            *start,
            "import-cycle",
            text,
            "move shared items to a file that imports neither, or pass them as arguments",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn find_messages(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|(path, text)| file(&format!("one/src/{path}"), text)).collect();
        find_cycles(&["one"], &files)
            .iter()
            .map(|it| it.to_string().replace("one/src/", ""))
            .collect()
    }

    #[test]
    fn two_files_that_name_each_other_are_a_cycle() {
        let findings = find_messages(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::{Other, Thing as Renamed};\npub struct Own;\n"),
            ("b.rs", "\npub struct Other(super::a::Own);\n"),
        ]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with(
                "a.rs:1: import-cycle: a.rs imports Other from b.rs, which imports Own from a.rs"
            ),
            "{findings:?}"
        );
    }

    #[test]
    fn a_longer_way_around_is_one_finding() {
        let findings = find_messages(&[
            ("main.rs", "mod a; mod b; mod c;\n"),
            ("a.rs", "use crate::b;\n"),
            ("b/mod.rs", "use crate::c::It;\n"),
            ("c.rs", "fn f() { crate::a::g() }\n"),
        ]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("from b/mod.rs, which imports It from c.rs, which imports g"));
    }

    #[test]
    fn what_a_parent_passes_on_counts_for_the_file_that_defines_it() {
        let parent =
            "mod low;\nmod high;\npub use self::low::Low;\npub use high::High;\npub struct Own;\n";
        let high = "use super::{Low, Own};\npub struct High;\n";
        assert_eq!(
            find_messages(&[("lib.rs", parent), ("low.rs", "pub struct Low;"), ("high.rs", high)]),
            [""; 0]
        );
        // A parent and its submodules are one unit.
        let parent = format!("{parent}fn f(_: high::High) {{}}\n");
        let files = [("lib.rs", parent.as_str()), ("low.rs", "pub struct Low;"), ("high.rs", high)];
        assert_eq!(find_messages(&files), [""; 0]);
        // The defining file counts.
        let low = "use crate::High;\npub struct Low;\n";
        let findings = find_messages(&[("lib.rs", &parent), ("low.rs", low), ("high.rs", high)]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].contains("high.rs imports Low from low.rs, which imports High"),
            "{findings:?}"
        );
    }

    #[test]
    fn tests_comments_texts_and_other_crates_do_not_count() {
        let a = "// use crate::b::X;\n/* crate::b::Y */\nconst T: &str = \"crate::b::Z\";\n\
                 const R: &str = r#\"crate::b::\"Z\"#;\nuse b::Foreign;\nuse std::fmt::Write as _;\n\
                 #[cfg(test)]\nuse crate::b::W;\n\
                 #[cfg(test)]\nmod tests {\n    use crate::b::V;\n    fn f<'a>(_: &'a str, _: char) { f(\"\", '\"') }\n}\n";
        let b = "use crate::a::T;\n";
        assert_eq!(
            find_messages(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]),
            [""; 0]
        );
        let real = format!("{a}fn g() {{ crate::b::real() }}\n");
        assert_eq!(
            find_messages(&[("lib.rs", "mod a; mod b;"), ("a.rs", &real), ("b.rs", b)]).len(),
            1
        );
        let tests =
            [("lib.rs", "mod a;"), ("a.rs", "pub fn f() {}"), ("a/tests.rs", "use super::f;")];
        assert_eq!(find_messages(&tests), [""; 0]);
    }

    #[test]
    fn paths_inside_of_a_module_in_the_same_file_start_there() {
        let a = "mod inner {\n    use super::super::b::X;\n}\n";
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", "use crate::a::Y;")];
        assert_eq!(find_messages(&files).len(), 1);
        let own = "mod inner {\n    use super::Z;\n}\n";
        assert_eq!(find_messages(&[("lib.rs", "mod a;"), ("a.rs", own)]), [""; 0]);
    }

    #[test]
    fn a_program_beside_a_library_is_a_crate_of_its_own() {
        let main = "use one::Thing;\nfn main() {}\n";
        let files = [("lib.rs", "pub mod a;"), ("a.rs", ""), ("main.rs", main), ("bin/x.rs", "")];
        assert_eq!(find_messages(&files), [""; 0]);
    }
}
