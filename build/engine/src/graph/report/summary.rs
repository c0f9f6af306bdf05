// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Markdown report of a run for a GitHub job page (GitHub Actions, "Adding a job summary").

use foundation::text::seconds;

use super::{Report, Verdict};

/// Maximum number of findings; GitHub limits a summary to 1 MiB.
const MOST: usize = 50;

impl Report {
    /// The report as heading, table and findings.
    pub(super) fn markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| step | outcome | time | note |\n| --- | --- | ---: | --- |\n",
            cell(&self.summary())
        );
        for row in &self.steps {
            let time =
                if row.verdict.has_run() { seconds(row.milliseconds) } else { String::new() };
            let (word, note) = self.cells(row);
            let (step, note) = (cell(&row.step), cell(&note));
            out.push_str(&format!("| {step} | {word} | {time} | {note} |\n"));
        }
        let found: Vec<_> = self
            .steps
            .iter()
            .filter_map(|row| match &row.verdict {
                Verdict::Found { findings, .. } => Some(findings),
                _ => None,
            })
            .flatten()
            .collect();
        if !found.is_empty() {
            out.push('\n');
        }
        for finding in found.iter().take(MOST) {
            let line = finding.line.map(|it| format!(":{it}")).unwrap_or_default();
            let (rule, message) = (cell(&finding.rule), cell(&finding.message));
            let fix = cell(&finding.fix);
            out.push_str(&format!("- `{}{line}` {rule}: {message} — {fix}\n", finding.file));
        }
        for (index, (step, gap)) in self.gaps().enumerate() {
            if index == 0 {
                out.push('\n');
            }
            out.push_str(&format!("- {step}: {} — {}\n", cell(&gap.problem), cell(&gap.fix)));
        }
        if found.len() > MOST {
            out.push_str(&format!("- and {} more\n", found.len() - MOST));
        }
        out
    }
}

/// Escapes text for a table cell: one line, without Markdown or HTML syntax.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_whitespace() => out.push(' '),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::every_kind;
    use super::*;

    #[test]
    fn a_table_and_the_findings() {
        insta::assert_snapshot!(every_kind().markdown());
    }

    #[test]
    fn what_a_tool_prints_stays_text() {
        assert_eq!(cell("a|b\n<img> `x` & *y*"), "a\\|b &lt;img> \\`x\\` &amp; \\*y\\*");
    }
}
