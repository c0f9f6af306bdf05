// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Line coverage: reads LCOV, excludes the tests themselves, and counts.

use std::collections::{BTreeMap, BTreeSet};

use foundation::source;

/// Code lines by file (from the root, with `/`), each with whether a test reached it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    files: BTreeMap<String, BTreeMap<usize, bool>>,
}

/// A number of lines, and how many are covered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCoverage {
    /// Code lines.
    pub lines: usize,
    /// Covered lines.
    pub reached: usize,
}

impl LineCoverage {
    /// Per cent; 100 without lines.
    #[expect(clippy::cast_precision_loss, reason = "no source has 2^52 lines")]
    pub fn percent(self) -> f64 {
        if self.lines == 0 { 100.0 } else { 100.0 * self.reached as f64 / self.lines as f64 }
    }

    fn of<'a>(lines: impl IntoIterator<Item = &'a bool>) -> Self {
        lines.into_iter().fold(Self::default(), |share, reached| Self {
            lines: share.lines + 1,
            reached: share.reached + usize::from(*reached),
        })
    }
}

/// Coverage by file (from `root`, with `/`), from the totals `LF` and `LH` that
/// [`Coverage::to_lcov`] writes.
pub fn totals(lcov: &str, root: &str) -> BTreeMap<String, LineCoverage> {
    let mut totals: BTreeMap<String, LineCoverage> = BTreeMap::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = path.strip_prefix(root).and_then(|path| path.strip_prefix('/'));
        } else if let Some((field, count)) = line.split_once(':')
            && let (Some(file), Ok(count)) = (file, count.parse::<usize>())
        {
            match field {
                "LF" => totals.entry(file.to_owned()).or_default().lines += count,
                "LH" => totals.entry(file.to_owned()).or_default().reached += count,
                _ => {}
            }
        }
    }
    totals
}

impl Coverage {
    /// Parses LCOV (geninfo(1), "FILES"): `SF:` starts a file, `DA:LINE,COUNT` is a line. Files
    /// outside `root` are ignored; `text` returns the content of the others by path from the root.
    pub fn parse(lcov: &str, root: &str, text: impl Fn(&str) -> Option<String>) -> Self {
        let mut coverage = Self::default();
        let mut file: Option<(String, usize)> = None;
        for line in lcov.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                let inside = path.strip_prefix(root).and_then(|path| path.strip_prefix('/'));
                file = inside
                    .filter(|path| !source::is_test_code(path) && !path.starts_with("target/"))
                    .and_then(|path| {
                        Some((path.to_owned(), source::lines_before_tests(&text(path)?)))
                    });
            } else if let Some((line, count)) =
                line.strip_prefix("DA:").and_then(|rest| rest.split_once(','))
                && let Some((path, end)) = &file
                && let Ok(line) = line.parse::<usize>()
                && line <= *end
            {
                let reached = count.split(',').next() != Some("0");
                let lines = coverage.files.entry(path.clone()).or_default();
                // The same file in several programs: covered in any is covered.
                *lines.entry(line).or_default() |= reached;
            }
        }
        coverage
    }

    /// Coverage of all files below `folder`; of all files if it is empty.
    pub fn share(&self, folder: &str) -> LineCoverage {
        LineCoverage::of(self.files_below(folder).flat_map(|(_, lines)| lines.values()))
    }

    /// Coverage of the given lines, and those that are not covered.
    pub fn measure_lines(
        &self,
        wanted: &BTreeMap<String, BTreeSet<usize>>,
    ) -> (LineCoverage, Vec<(&str, usize)>) {
        let mut known = Vec::new();
        for (file, lines) in &self.files {
            let Some(wanted) = wanted.get(file) else { continue };
            let picked = lines.iter().filter(|(line, _)| wanted.contains(line));
            known.extend(picked.map(|(line, reached)| (file.as_str(), *line, reached)));
        }
        let share = LineCoverage::of(known.iter().map(|(_, _, reached)| *reached));
        let missed = known.into_iter().filter(|(_, _, reached)| !**reached);
        (share, missed.map(|(file, line, _)| (file, line)).collect())
    }

    /// The file below `folder` with the most uncovered lines, and the first of these.
    pub fn worst<'a>(&'a self, folder: &'a str) -> Option<(&'a str, usize)> {
        let missed = |lines: &BTreeMap<usize, bool>| lines.values().filter(|it| !**it).count();
        let (file, lines) = self.files_below(folder).max_by_key(|(_, lines)| missed(lines))?;
        let first = lines.iter().find(|(_, reached)| !**reached)?;
        Some((file, *first.0))
    }

    /// Table of the files with the most uncovered lines.
    pub fn table(&self, length: usize) -> String {
        let mut rows: Vec<_> = self
            .files
            .iter()
            .map(|(file, lines)| (file, LineCoverage::of(lines.values())))
            .collect();
        rows.sort_by_key(|(file, share)| (std::cmp::Reverse(share.lines - share.reached), *file));
        let mut out = format!("{:>7}  {:>6}  {:>6}  file\n", "reached", "lines", "missed");
        for (file, share) in rows.iter().take(length) {
            let missed = share.lines - share.reached;
            out.push_str(&format!(
                "{:>6.1}%  {:>6}  {missed:>6}  {file}\n",
                share.percent(),
                share.lines
            ));
        }
        out
    }

    /// LCOV with the counted lines only, for other programs.
    pub fn to_lcov(&self, root: &str) -> String {
        let mut out = String::new();
        for (file, lines) in &self.files {
            let share = LineCoverage::of(lines.values());
            out.push_str(&format!("TN:\nSF:{root}/{file}\n"));
            for (line, reached) in lines {
                out.push_str(&format!("DA:{line},{}\n", u8::from(*reached)));
            }
            out.push_str(&format!("LF:{}\nLH:{}\nend_of_record\n", share.lines, share.reached));
        }
        out
    }

    fn files_below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a BTreeMap<usize, bool>)> {
        self.files
            .iter()
            .filter(move |(file, _)| std::path::Path::new(file).starts_with(folder))
            .map(|(file, lines)| (file.as_str(), lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LCOV: &str = "TN:\nSF:/w/a/src/lib.rs\nDA:1,3\nDA:2,0\nDA:4,0\nDA:9,1\nend_of_record\n\
        SF:/w/a/src/lib.rs\nDA:2,1\nend_of_record\nSF:/w/b/src/main.rs\nDA:1,0\nend_of_record\n\
        SF:/w/a/tests/t.rs\nDA:1,1\nSF:/home/x.rs\nDA:1,0\nSF:/w/target/gen.rs\nDA:1,0\n";

    fn coverage() -> Coverage {
        Coverage::parse(LCOV, "/w", |_| Some("1\n2\n3\n4\n5\n#[cfg(test)]\n".to_owned()))
    }

    #[test]
    fn tests_and_files_of_others_do_not_count() {
        let coverage = coverage();
        assert_eq!(coverage.share(""), LineCoverage { lines: 4, reached: 2 });
        assert_eq!(coverage.share("a"), LineCoverage { lines: 3, reached: 2 });
        assert_eq!(coverage.share("a/src/l"), LineCoverage::default());
        assert_eq!(coverage.worst("b"), Some(("b/src/main.rs", 1)));
        assert_eq!(coverage.worst("a"), Some(("a/src/lib.rs", 4)));
        assert!((coverage.share("none").percent() - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn of_the_lines_of_a_change_only_code_counts() {
        let change = [("a/src/lib.rs", vec![2, 3, 4]), ("README.md", vec![1])];
        let change = change.map(|(file, lines)| (file.to_owned(), BTreeSet::from_iter(lines)));
        let coverage = coverage();
        let (share, missed) = coverage.measure_lines(&BTreeMap::from(change));
        assert_eq!(share, LineCoverage { lines: 2, reached: 1 });
        assert_eq!(missed, [("a/src/lib.rs", 4)]);
    }

    #[test]
    fn what_is_written_reads_back() {
        let coverage = coverage();
        let lcov = coverage.to_lcov("/w");
        assert_eq!(Coverage::parse(&lcov, "/w", |_| Some("x\n".repeat(9))), coverage);
        let totals = totals(&lcov, "/w");
        assert_eq!(totals.keys().collect::<Vec<_>>(), ["a/src/lib.rs", "b/src/main.rs"]);
        assert_eq!(totals["a/src/lib.rs"], coverage.share("a"));
    }

    #[test]
    fn the_table_has_the_worst_first() {
        let table = coverage().table(1);
        assert_eq!(table.lines().count(), 2);
        assert!(table.ends_with("66.7%       3       1  a/src/lib.rs\n"), "{table}");
    }
}
