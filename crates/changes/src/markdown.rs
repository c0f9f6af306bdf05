// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Release notes as Markdown.

use escape::markdown as text;

use crate::bump::Bump;
use crate::message::{Change, Kind};
use crate::notes::{AdvisoryNote, Notes, Security};

/// Digits of a commit's id that are shown.
pub(crate) const SHORT: usize = 10;

/// The notes as Markdown. Text of commits is escaped, so that it can't become markup.
pub fn render(notes: &Notes) -> String {
    let mut out = format!("# {} {}\n\n", text(&notes.title), text(&notes.version));
    match &notes.since {
        Some(since) => line(&mut out, &format!("Changes since {}.", text(since))),
        None => line(&mut out, "The first release."),
    }
    write_breaking(&mut out, notes);
    // In the order in which the changes were made: a later step may need an earlier one.
    let steps = notes.range.changes.iter().rev().flat_map(|it| &it.upgrade);
    section(&mut out, "Upgrade", steps.map(|step| text(step)));
    security(&mut out, notes.security.as_ref());
    let sections = [
        (Kind::Feature, "Features"),
        (Kind::Fix, "Fixes"),
        (Kind::Performance, "Performance"),
        (Kind::Revert, "Reverted"),
    ];
    for (kind, title) in sections {
        let of_kind = notes.range.changes.iter().filter(|it| it.kind == kind);
        section(&mut out, title, of_kind.map(item));
    }
    section(
        &mut out,
        "Recipe schema",
        notes.schema.iter().map(|change| {
            let class = if change.breaking { "breaking: " } else { "" };
            format!("{class}{}", text(&change.what))
        }),
    );
    section(
        &mut out,
        "HTTP API",
        notes.api.iter().map(|change| {
            let class = if change.bump == Bump::Major { "breaking: " } else { "" };
            format!("{class}`{}` {}", change.pointer, text(&change.what))
        }),
    );
    let rest = [Kind::Internal, Kind::Other];
    let rest = notes.range.changes.iter().filter(|it| rest.contains(&it.kind));
    section(&mut out, "Other changes", rest.map(item));
    if notes.range.changes.is_empty() && notes.schema.is_empty() && notes.api.is_empty() {
        line(&mut out, "No changes.");
    }
    let requests = notes.range.pull_requests.iter();
    section(
        &mut out,
        "Pull requests",
        requests.map(|it| format!("#{} {}", it.number, text(&it.title)).trim_end().to_owned()),
    );
    artifacts(&mut out, notes);
    section(&mut out, "Contributors", notes.range.authors.iter().map(|name| text(name)));
    out
}

/// Required actions of users come before new features.
fn write_breaking(out: &mut String, notes: &Notes) {
    let commits = notes.range.changes.iter().filter_map(|change| {
        let what = change.breaking.as_ref()?;
        let line = item(change);
        Some(if what.is_empty() { line } else { format!("{line}\n  {}", text(what)) })
    });
    section(out, "Breaking changes", commits);
}

fn security(out: &mut String, security: Option<&Security>) {
    let Some(Security { fixed, open, gaps }) = security else { return };
    let line = |class: &str, it: &AdvisoryNote| {
        let title = if it.title.is_empty() { String::new() } else { format!(": {}", it.title) };
        text(&format!("{class} {} in {}{title}", it.id, it.component))
    };
    let fixed = fixed.iter().map(|it| line("fixed:", it));
    let open = open.iter().map(|it| line("open:", it));
    let gaps = gaps.iter().map(|it| text(&format!("not compared: {it}")));
    section(out, "Security", fixed.chain(open).chain(gaps));
}

fn artifacts(out: &mut String, notes: &Notes) {
    if notes.artifacts.is_empty() {
        return;
    }
    out.push_str("\n## Artifacts\n\n| name | digest |\n| --- | --- |\n");
    for artifact in &notes.artifacts {
        out.push_str(&format!("| `{}` | `{}` |\n", artifact.name, artifact.digest));
    }
    out.push_str(&format!(
        "\n## Verify\n\nGet the public key from another source than the release.\n\n```console\n\
         $ notary verify --release DIR --release-version {version} --key cosign.pub\n\
         $ notary verify --registry HOST/PREFIX:{version} --key cosign.pub\n```\n\n\
         `controller verify-release` takes the same arguments.\n",
        version = notes.version
    ));
}

fn section(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    out.push_str(&format!("\n## {title}\n\n"));
    for item in items {
        out.push_str(&format!("- {item}\n"));
    }
}

fn item(change: &Change) -> String {
    entry(change, "")
}

/// The line of a change, with `detail` after its summary.
pub(crate) fn entry(change: &Change, detail: &str) -> String {
    let scope = change.scope.as_ref().map(|it| format!("**{}**: ", text(it))).unwrap_or_default();
    let number = change.pull_request.map(|it| format!(" #{it}")).unwrap_or_default();
    let commit = change.commit.get(..SHORT).unwrap_or(&change.commit);
    let detail = if detail.is_empty() { String::new() } else { format!(": {}", text(detail)) };
    format!("{scope}{}{number}{detail} ({commit})", text(&change.summary))
}

fn line(out: &mut String, text: &str) {
    out.push_str(&format!("{text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArtifactNote, Commit, SchemaNote, api_changes, collect};
    use serde_json::json;

    fn commits() -> Vec<Commit> {
        let messages = [
            "feat(api)!: use <b>HTML</b> & `a_b` (#7)\n\nBREAKING CHANGE: rename `x` to `y`\n\
             Upgrade: run `z` & wait",
            "fix: don't [link](evil) | pipe 🎉",
            "fix: one ` back-tick",
            "chore: update",
            "Plain words",
        ];
        let make = |(number, message): (usize, &&str)| Commit {
            id: format!("{number:040x}"),
            parents: 1,
            author: "Ann_Bee".to_owned(),
            address: "a@example.org".to_owned(),
            message: (*message).to_owned(),
        };
        messages.iter().enumerate().map(make).collect()
    }

    fn advisory(id: &str, title: &str) -> AdvisoryNote {
        let component = "x 1.0.0".to_owned();
        AdvisoryNote { id: id.to_owned(), component, title: title.to_owned() }
    }

    #[test]
    fn notes_are_escaped_and_complete() {
        let notes = Notes {
            title: "Provisioner".to_owned(),
            version: "1.3.0".to_owned(),
            since: Some("1.2.0".to_owned()),
            range: collect(&commits()),
            schema: vec![SchemaNote {
                breaking: false,
                pointer: "/properties/x".to_owned(),
                what: "`x` added".to_owned(),
            }],
            api: api_changes(&json!({"paths": {"/a": {"get": {}}}}), &json!({"paths": {}})),
            security: Some(Security {
                fixed: vec![advisory("RUSTSEC-2020-0001", "A <b> fault")],
                open: vec![advisory("openssl@3.5.4-1~deb13u2", "")],
                gaps: vec!["no index of trixie-security".to_owned()],
            }),
            artifacts: vec![ArtifactNote {
                name: "a.tar.gz".to_owned(),
                digest: "sha256:00".to_owned(),
            }],
        };
        insta::assert_snapshot!(render(&notes));
    }

    #[test]
    fn an_empty_range_is_reported() {
        let notes = Notes {
            title: "P".to_owned(),
            version: "1.0.1".to_owned(),
            since: Some("1.0.0".to_owned()),
            range: collect(&[]),
            schema: Vec::new(),
            api: Vec::new(),
            security: None,
            artifacts: Vec::new(),
        };
        assert_eq!(render(&notes), "# P 1.0.1\n\nChanges since 1.0.0.\nNo changes.\n");
    }
}
