// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A run as Markdown, for the page that GitHub shows of a job (GitHub Actions, "Adding a job
//! summary").

use std::fmt::Write as _;

use foundation::text::seconds;

use super::{Report, Verdict};

/// So many findings are shown; GitHub cuts a summary at 1 MiB.
const MOST: usize = 50;

impl Report {
    /// The run as a heading, a table, and the findings.
    pub(super) fn markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| step | outcome | time | note |\n| --- | --- | ---: | --- |\n",
            cell(&self.summary())
        );
        for row in &self.steps {
            let time = if row.verdict.ran() { seconds(row.milliseconds) } else { String::new() };
            let (word, note) = self.told(row);
            let (step, note) = (cell(&row.step), cell(&note));
            // Writing into a String has no way to fail.
            let _infallible = writeln!(out, "| {step} | {word} | {time} | {note} |");
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
            let _infallible = writeln!(out, "- `{}{line}` {rule}: {message} — {fix}", finding.file);
        }
        for (index, (step, gap)) in self.gaps().enumerate() {
            if index == 0 {
                out.push('\n');
            }
            let _infallible =
                writeln!(out, "- {step}: {} — {}", cell(&gap.problem), cell(&gap.fix));
        }
        if found.len() > MOST {
            let _infallible = writeln!(out, "- and {} more", found.len() - MOST);
        }
        out
    }
}

/// In one line, and with nothing that Markdown or HTML would take for its own.
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
    fn what_a_tool_said_stays_text() {
        assert_eq!(cell("a|b\n<img> `x` & *y*"), "a\\|b &lt;img> \\`x\\` &amp; \\*y\\*");
    }
}
