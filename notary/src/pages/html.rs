// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Release pages as HTML without scripts and styles, for browsers of any age and for programs.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use release::{Channel, Manifest, layout};

use crate::percent;
use crate::publish::files::ReleaseFile;

/// 9999-12-31, the last day that RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// Page of one version: its files with size and digest.
pub(super) fn version(manifest: &Manifest, files: &[ReleaseFile]) -> String {
    let mut rows = String::new();
    for file in files {
        row(
            &mut rows,
            &[link(&file.name, &file.name), file.size.to_string(), escape(file.digest.hex())],
        );
    }
    let Manifest { version, channel, source, .. } = manifest;
    let title = format!("{} {version}", manifest.product);
    let facts = format!(
        "<p>Channel {}, {}, commit {} of {}</p>\n<p>Check the signatures with <code>notary verify</code> and the \
         digests with <code>sha256sum --check SHA256SUMS</code>.</p>\n",
        name(*channel),
        date(manifest),
        escape(&source.commit),
        escape(&source.uri),
    );
    page(&title, &format!("{facts}{}", table(&["File", "Bytes", "SHA-256"], &rows)))
}

/// Page of all versions, in the given order.
pub(super) fn versions(manifests: &[Manifest]) -> String {
    let mut rows = String::new();
    for manifest in manifests {
        let folder = format!("{}/index.html", layout::tag(&manifest.version));
        row(
            &mut rows,
            &[
                link(&folder, &manifest.version),
                name(manifest.channel).to_owned(),
                date(manifest),
                escape(&manifest.source.commit),
            ],
        );
    }
    let product = manifests.first().map_or("", |manifest| &manifest.product);
    let table = table(&["Version", "Channel", "Date", "Commit"], &rows);
    page(&format!("{product} releases"), &table)
}

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

fn table(titles: &[&str], rows: &str) -> String {
    let titles = cells("th", titles);
    format!("<table>\n<tr>{titles}</tr>\n{rows}</table>\n")
}

/// Adds a row; `cells` are HTML.
fn row(rows: &mut String, columns: &[String]) {
    // Writing to a String can't fail.
    let _infallible = writeln!(rows, "<tr>{}</tr>", cells("td", columns));
}

/// The cells of a row; `contents` are HTML.
fn cells(tag: &str, contents: &[impl AsRef<str>]) -> String {
    let cells =
        contents.iter().map(AsRef::as_ref).flat_map(|it| ["<", tag, ">", it, "</", tag, ">"]);
    cells.collect()
}

fn link(path: &str, text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", percent::encode(path, b"/"), escape(text))
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Snapshot => "snapshot",
        Channel::Candidate => "candidate",
        Channel::Stable => "stable",
    }
}

/// Date of the build's epoch.
fn date(manifest: &Manifest) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(manifest.epoch.min(LAST_SECOND));
    humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect()
}

/// Escapes HTML characters in text and quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_leaves_its_link(name in "\\PC{0,30}") {
            let link = link(&name, &name);
            prop_assert!(link.starts_with("<a href=\"") && link.ends_with("</a>"));
            prop_assert_eq!(link.matches('<').count(), 2);
            prop_assert_eq!(link.matches('"').count(), 2);
        }
    }
}
