// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Release pages as HTML without scripts and styles, for browsers of any age and for programs.

use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use release::{Manifest, layout};
use semver::Version;

use super::yanked::Yanked;
use crate::date;
use crate::publish::files::ReleaseFile;
use crate::withdrawal::{notice, replacement};

/// Bytes to encode in a path: all but unreserved characters and `/` (RFC 3986, section 3.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Page of one version: its files with size and digest.
pub(super) fn version(manifest: &Manifest, files: &[ReleaseFile], yanked: &Yanked) -> String {
    let Manifest { version, channel, source, product, .. } = manifest;
    let rows = files.iter().map(|file| {
        [link(&file.name, &file.name), html! { (file.size) }, html! { (file.digest.hex()) }]
    });
    let body = html! {
        @if let Some(yank) = yanked.get(version) {
            p { strong { (notice(yank)) ". " } a href="../index.html" { "Other versions" } } "\n"
        }
        p {
            "Channel " (channel.name()) ", " (day(manifest)) ", commit " (source.commit) " of "
            (source.uri)
        } "\n"
        p {
            "Check the signatures with " code { "notary verify" } " and the digests with "
            code { "sha256sum --check SHA256SUMS" } "."
        } "\n"
        (table(["File", "Bytes", "SHA-256"], rows))
    };
    page(&format!("{product} {version}"), &body)
}

/// Page of all versions, in the given order. `available` are those that are not yanked.
pub(super) fn versions(manifests: &[Manifest], yanked: &Yanked, available: &[Version]) -> String {
    let rows = manifests.iter().map(|manifest| {
        let folder = format!("{}/index.html", layout::tag(&manifest.version));
        [
            link(&folder, &manifest.version),
            html! {
                (manifest.channel.name())
                @if let Some(yank) = yanked.get(&manifest.version) {
                    ". " (notice(yank)) ". "
                    @let version = manifest.version.parse::<Version>();
                    @if let Some(it) = version.ok().and_then(|it| replacement(&it, available)) {
                        "Use " (it) " instead."
                    }
                }
            },
            html! { (day(manifest)) },
            html! { (manifest.source.commit) },
        ]
    });
    let product = manifests.first().map_or("", |manifest| &manifest.product);
    let table = table(["Version", "Channel", "Date", "Commit"], rows);
    page(&format!("{product} releases"), &table)
}

fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            "\n" head { "\n" meta charset="utf-8"; "\n" title { (title) } "\n" }
            "\n" body { "\n" h1 { (title) } "\n" (body) }
            "\n"
        } "\n"
    };
    page.into_string()
}

fn table<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [Markup; N]>) -> Markup {
    html! {
        table {
            "\n" tr { @for title in titles { th { (title) } } } "\n"
            @for row in rows { tr { @for cell in row { td { (cell) } } } "\n" }
        } "\n"
    }
}

fn link(path: &str, text: &str) -> Markup {
    html! { a href=(utf8_percent_encode(path, PATH)) { (text) } }
}

/// Day of the build's epoch.
fn day(manifest: &Manifest) -> String {
    date::rfc3339(manifest.epoch).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_leaves_its_link(name in "\\PC{0,30}") {
            let link = link(&name, &name).into_string();
            prop_assert!(link.starts_with("<a href=\"") && link.ends_with("</a>"));
            prop_assert_eq!(link.matches('<').count(), 2);
            prop_assert_eq!(link.matches('"').count(), 2);
        }
    }
}
