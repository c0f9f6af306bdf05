// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `JUnit` XML report of a run: the pipeline is the suite, each step a test case.
//!
//! There is no standard; this is the form that Jenkins' `JUnit` plugin reads (its `junit-10.xsd`).
//! nextest writes a separate report of the tests.

use super::{Report, Verdict};
use crate::junit::escape;

impl Report {
    /// The report as XML.
    pub(super) fn junit(&self) -> String {
        let bodies: Vec<_> = self.steps.iter().map(|row| self.body(&row.verdict)).collect();
        let number = |kind: &str| bodies.iter().filter(|it| it.starts_with(kind)).count();
        let counts = format!(
            "name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
            escape(&self.pipeline),
            bodies.len(),
            number("<failure"),
            number("<error"),
            number("<skipped"),
            seconds(self.milliseconds),
        );
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts}>\n"
        );
        for (row, body) in self.steps.iter().zip(bodies) {
            out.push_str(&format!(
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\">{body}</testcase>\n",
                escape(&self.pipeline),
                escape(&row.step),
                seconds(row.milliseconds)
            ));
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }

    /// Content of a step's `testcase` element.
    fn body(&self, verdict: &Verdict) -> String {
        let element = |name: &str, message: &str, body: &str| {
            format!("<{name} message=\"{}\">{}</{name}>", escape(message), escape(body))
        };
        match verdict {
            Verdict::Found { findings, .. } => {
                let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
                element("failure", &verdict.note(), &all.join("\n"))
            }
            Verdict::Failed { error } => element("error", &verdict.note(), error),
            Verdict::Skipped { skip } if skip.could_not_run() && self.strict => {
                element("error", &format!("could not run: {}", verdict.note()), "")
            }
            Verdict::Skipped { .. } => element("skipped", &verdict.note(), ""),
            // `JUnit` has no partial result: a case without `skipped` counts as passed.
            Verdict::Incomplete { gaps, expected: false, .. } => {
                let all: Vec<_> = gaps.iter().map(ToString::to_string).collect();
                element("skipped", &verdict.note(), &all.join("\n"))
            }
            Verdict::Done { .. }
            | Verdict::Cached { .. }
            | Verdict::Unchanged { .. }
            | Verdict::Incomplete { expected: true, .. } => String::new(),
        }
    }
}

/// Seconds with three decimals.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::tests::every_kind;
    use super::*;

    #[test]
    fn each_step_is_a_case() {
        insta::assert_snapshot!(every_kind().junit());
        let cases = crate::junit::cases(&every_kind().junit());
        assert_eq!(cases.len(), every_kind().steps.len());
        assert_eq!(cases.iter().filter(|case| case.failure.is_some()).count(), 2);
    }

    #[test]
    fn a_gate_that_has_to_run_and_could_not_is_an_error() {
        let report = Report { strict: true, ..every_kind() };
        assert!(report.junit().contains("<error message=\"could not run: podman"));
    }

    #[test]
    fn what_a_document_can_not_hold_is_left_out() {
        assert_eq!(escape("\u{1b}[1mé <&>\"\u{0}\u{ffff}"), "[1mé &lt;&amp;&gt;&quot;");
        assert_eq!(seconds(61_005), "61.005");
    }
}
