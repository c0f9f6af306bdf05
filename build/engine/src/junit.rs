// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the `JUnit` report of nextest: tests, durations, failures.
//!
//! Not a general XML parser: nextest escapes `<`, `&` and `"` everywhere, so a tag is the text
//! between angle brackets. Any other file yields no tests, which the caller reports as an error.

use std::time::Duration;

/// A test that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Test binary, such as `xtask::bin/xtask`.
    pub suite: String,
    /// Path of the test in its binary.
    pub name: String,
    /// Duration.
    pub milliseconds: u64,
    /// Output of a failed test; `None` when it passed.
    pub failure: Option<String>,
}

/// All tests in the report.
pub fn cases(report: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for part in report.split("<testcase ").skip(1) {
        let (tag, rest) = part.split_once('>').unwrap_or((part, ""));
        let body = if tag.ends_with('/') {
            ""
        } else {
            rest.split_once("</testcase>").map_or(rest, |(body, _)| body)
        };
        let failed = ["<failure", "<error"].iter().any(|it| body.contains(it));
        cases.push(Case {
            suite: attribute(tag, "classname").unwrap_or_default(),
            name: attribute(tag, "name").unwrap_or_default(),
            milliseconds: attribute(tag, "time").map_or(0, |time| milliseconds(&time)),
            failure: failed.then(|| unescape(body)),
        });
    }
    cases
}

/// The report with a `skipped` element in each passed test for which `reason` returns a text, and
/// the number of skipped tests in the suites.
pub fn mark_skipped<'a>(report: &str, reason: impl Fn(&str, &str) -> Option<&'a str>) -> String {
    let mut suites = report.split("<testsuite ");
    let mut out = suites.next().unwrap_or_default().to_owned();
    for suite in suites {
        let Some((tag, body)) = suite.split_once('>') else {
            out.extend(["<testsuite ", suite]);
            continue;
        };
        let mut skipped = 0_usize;
        let mut cases = body.split("<testcase ");
        let mut marked = cases.next().unwrap_or_default().to_owned();
        for case in cases {
            let with = mark_case(case, &reason);
            skipped += usize::from(with.is_some());
            marked.extend(["<testcase ", with.as_deref().unwrap_or(case)]);
        }
        let count = if skipped > 0 { format!(" skipped=\"{skipped}\"") } else { String::new() };
        out.extend(["<testsuite ", tag, &count, ">", &marked]);
    }
    out
}

/// The text after `<testcase `, with a `skipped` element if `reason` returns a text and the test
/// passed.
fn mark_case<'a>(case: &str, reason: impl Fn(&str, &str) -> Option<&'a str>) -> Option<String> {
    let (tag, rest) = case.split_once('>')?;
    let (name, suite) = (attribute(tag, "name")?, attribute(tag, "classname")?);
    let element = format!("<skipped message=\"{}\"/>", escape(reason(&suite, &name)?));
    if let Some(tag) = tag.strip_suffix('/') {
        return Some(format!("{tag}>{element}</testcase>{rest}"));
    }
    let (body, _) = rest.split_once("</testcase>")?;
    let failed = body.contains("<failure") || body.contains("<error");
    (!failed).then(|| format!("{tag}>{element}{rest}"))
}

/// Parses seconds such as `12.034`; 0 if malformed.
fn milliseconds(time: &str) -> u64 {
    let duration = time.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
    duration.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let key = format!("{name}=\"");
    let (start, _) = tag.match_indices(&key).find(|(start, _)| {
        // `name=` also matches the end of `classname=`.
        tag.get(..*start).is_none_or(|before| before.is_empty() || before.ends_with(' '))
    })?;
    let value = tag.get(start + key.len()..)?.split('"').next()?;
    Some(unescape(value))
}

/// Resolves the predefined entities (XML 1.0, section 4.6). `&amp;` is last, or `&amp;lt;` would
/// become `<`.
fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

/// Escapes text for XML content and attributes (XML 1.0, sections 2.2 and 2.4). Drops characters
/// that XML cannot contain, such as terminal escape sequences.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// File and line of the first `panicked at FILE:LINE:COLUMN` in a test's output.
pub fn panic_place(output: &str) -> Option<(String, usize)> {
    output.split("panicked at ").skip(1).find_map(|rest| {
        let place = rest.lines().next()?.trim_end_matches(':');
        let mut parts = place.rsplitn(3, ':');
        let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        Some((file.to_owned(), line.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="xtask test" tests="2" failures="1">
    <testsuite name="one" tests="2">
        <testcase name="tests::good" classname="one" time="0.003">
        </testcase>
        <testcase name="tests::bad&lt;T&gt;" classname="one" time="0.004">
            <failure message="thread 'x' panicked" type="test failure">thread &apos;x&apos; (7) panicked at one/src/lib.rs:12:9:
assertion `left == right` failed</failure>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn passed_and_failed_tests_are_distinguished() {
        let cases = cases(REPORT);
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].name.as_str(), &cases[0].failure), ("tests::good", &None));
        assert_eq!((cases[1].suite.as_str(), cases[1].name.as_str()), ("one", "tests::bad<T>"));
        assert_eq!(
            (cases[0].milliseconds, milliseconds("61.5"), milliseconds("x")),
            (3, 61_500, 0)
        );
        let output = cases[1].failure.as_deref().unwrap();
        assert_eq!(panic_place(output), Some(("one/src/lib.rs".to_owned(), 12)));
    }

    #[test]
    fn skipped_tests_are_marked_and_counted_in_their_suite() {
        let report = REPORT.replace(
            "    </testsuite>",
            "        <testcase name=\"third\" classname=\"one\" time=\"0.1\"/>\n    </testsuite>\n    \
             <testsuite name=\"two\" tests=\"1\">\n        <testcase name=\"third\" \
             classname=\"two\" time=\"0.1\"/>\n    </testsuite>",
        );
        let marked = mark_skipped(&report, |suite, name| {
            (suite == "one" && name != "tests::good").then_some("no \"x\" & <y>")
        });
        let element = "<skipped message=\"no &quot;x&quot; &amp; &lt;y&gt;\"/>";
        assert_eq!(marked.matches("<skipped").count(), 1, "{marked}");
        let third =
            format!("<testcase name=\"third\" classname=\"one\" time=\"0.1\">{element}</testcase>");
        assert!(marked.contains(&third), "{marked}");
        assert!(marked.contains("<testsuite name=\"one\" tests=\"2\" skipped=\"1\">"), "{marked}");
        assert!(marked.contains("<testsuite name=\"two\" tests=\"1\">"), "{marked}");
        // Nothing else has changed.
        let plain = marked.replace(" skipped=\"1\"", "").replace(&third, "");
        assert_eq!(
            plain.replace("        \n", ""),
            report
                .replace("        <testcase name=\"third\" classname=\"one\" time=\"0.1\"/>\n", "")
        );
        assert_eq!(mark_skipped("no report", |_, _| Some("x")), "no report");
    }

    #[test]
    fn a_file_of_another_form_has_no_tests() {
        assert_eq!(cases("").len() + cases("no report").len() + cases("<testsuites/>").len(), 0);
        assert_eq!(cases("<testcase ").len(), 1);
        assert_eq!(panic_place("panicked at nowhere"), None);
    }
}
