// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The release: facts, artifacts with their sizes, and the results of a second build.

use std::collections::BTreeMap;

use foundation::epoch;
use foundation::text::{count, megabytes};
use maud::{Markup, html};
use release::{ArtifactKind, Manifest, Reproduced};

use super::input::Release;
use super::table;

/// Version, source, engines, signer and channel.
pub(crate) fn facts(release: &Release) -> Markup {
    let Manifest { version, channel, source, epoch, engines, signer, materials, .. } =
        &release.manifest;
    let engines: Vec<_> =
        engines.iter().map(|(job, it)| format!("{job}: {} {}", it.name, it.version)).collect();
    let dirty = if source.dirty { ", with uncommitted changes" } else { "" };
    let rows = [
        ("version", version.clone()),
        ("source", format!("{} at {}{dirty}", source.uri, source.commit)),
        ("time of the source", epoch::rfc3339(*epoch).unwrap_or_else(|_| epoch.to_string())),
        ("inputs", count(materials.len(), "pinned input")),
        ("engines", engines.join(", ")),
        (
            "signature",
            match (signer, release.is_signed) {
                (Some(signer), _) => format!("by {} of {}", signer.identity, signer.issuer),
                (None, true) => "by a key".to_owned(),
                (None, false) => "not signed".to_owned(),
            },
        ),
        ("channel of the version", channel.name().to_owned()),
    ];
    html! {
        (table::render(["", ""], rows.into_iter().map(|(key, value)| [html! { (key) }, html! { (value) }])))
        p.missing {
            "Which channels of a registry point to it is only in the registry: "
            code { "cargo xtask channels" } " shows it."
        }
    }
}

/// Files and images with their sizes, compared with those of `previous`.
pub(crate) fn sizes(release: &Release, previous: Option<&Release>) -> Markup {
    let ours = measure(release);
    let theirs = previous.map(measure);
    let rows = ours.iter().map(|(key, item)| {
        let change = theirs.as_ref().map(|theirs| match theirs.get(key) {
            Some(before) => change(before.size, item.size),
            None => "new".to_owned(),
        });
        [
            html! { (item.name) },
            html! { (item.what) },
            html! { (size(item.size)) },
            html! { (change.unwrap_or_default()) },
        ]
    });
    let gone = theirs.iter().flatten().filter(|(key, _)| !ours.contains_key(*key));
    let gone = gone.map(|(_, item)| {
        let size = size(item.size);
        [html! { (item.name) }, html! { (item.what) }, html! { (size) }, html! { "removed" }]
    });
    html! {
        p {
            @match previous {
                Some(previous) => { "Compared with " (previous.manifest.version) "." },
                None => { "There is no older release in target/dist to compare with." },
            }
        }
        (table::render(["artifact", "kind", "#size", "#change"], rows.chain(gone)))
    }
}

/// A line of the table of sizes.
struct Item {
    name: String,
    what: String,
    size: u64,
}

/// The sizes by names that are the same in every version. All SBOMs are one line.
fn measure(release: &Release) -> BTreeMap<String, Item> {
    let manifest = &release.manifest;
    let mut items = BTreeMap::new();
    let mut sboms = (0, 0);
    for artifact in &manifest.artifacts {
        let kind = match artifact.kind {
            ArtifactKind::Binary => "binary",
            ArtifactKind::Package => "package",
            ArtifactKind::Checksums => "checksums",
            ArtifactKind::Debug => "debug information",
            ArtifactKind::Documentation => "documentation",
            ArtifactKind::Iso => "live ISO",
            ArtifactKind::Vex => "VEX document",
            ArtifactKind::Sbom => {
                sboms = (sboms.0 + 1, sboms.1 + artifact.size);
                continue;
            }
        };
        let architecture = artifact.architecture.map(|it| format!(", {}", it.oci()));
        let what = format!("{kind}{}", architecture.unwrap_or_default());
        let key = artifact.path.replace(&manifest.version, "");
        items.insert(key, Item { name: artifact.path.clone(), what, size: artifact.size });
    }
    for image in &manifest.images {
        let architectures: Vec<_> = image.architectures.iter().map(|it| it.oci()).collect();
        let what = format!("image, {}", architectures.join(" and "));
        let size = release.images.get(&image.repository).copied().unwrap_or(0);
        let name = image.repository.clone();
        items.insert(format!("{}/{name}", release::layout::IMAGES), Item { name, what, size });
    }
    if sboms.0 > 0 {
        let (name, what) = (format!("{}/", release::layout::SBOM), count(sboms.0, "SBOM"));
        items.insert(name.clone(), Item { name, what, size: sboms.1 });
    }
    items
}

/// `12.3 MB`, or `12.3 kB` below 1 MB.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
        _ => megabytes(bytes),
    }
}

/// The difference of two sizes, also in per cent. Blank where the earlier file is gone.
fn change(before: u64, after: u64) -> String {
    let difference = before.abs_diff(after);
    if before == 0 {
        return String::new();
    }
    if difference == 0 {
        return "=".to_owned();
    }
    let sign = if after > before { "+" } else { "\u{2212}" };
    let tenths = difference.saturating_mul(1000) / before;
    format!("{sign}{} ({sign}{}.{} %)", size(difference), tenths / 10, tenths % 10)
}

/// The results of a second build.
pub(crate) fn render_reproduced(reproduced: Option<&Reproduced>) -> Markup {
    let Some(Reproduced { variations, identical, different, not_tried }) = reproduced else {
        return html! {
            p.missing {
                "No second build is recorded: run " code { "cargo xtask determinism" } "."
            }
        };
    };
    html! {
        p {
            (identical.len()) " files and images identical, "
            @if different.is_empty() { "none different" }
            @else { b.bad { (different.len()) " different" } }
            ". Varied: " (variations.join(", ")) "."
        }
        @if !different.is_empty() {
            ul { @for path in different { li { code { (path) } } } }
        }
        @if !not_tried.is_empty() {
            ul {
                @for (variation, paths) in not_tried {
                    li { (variation) ": not applied to " (count(paths.len(), "file or image")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_changes_are_rounded_down() {
        assert_eq!((size(999), size(999_999)), ("0.9 kB".to_owned(), "999.9 kB".to_owned()));
        assert_eq!(size(12_345_678), "12.3 MB");
        assert_eq!(change(5, 5), "=");
        assert_eq!(change(1_000_000, 1_015_000), "+15.0 kB (+1.5 %)");
        assert_eq!(change(2_000_000, 1_000_000), "\u{2212}1.0 MB (\u{2212}50.0 %)");
        assert_eq!(change(0, 1), "");
    }
}
