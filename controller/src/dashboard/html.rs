// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Shared page elements. `maud` escapes all text.

use maud::{DOCTYPE, Markup, Render, html};

/// Renders a page with a title.
pub(super) fn page(title: &str, sections: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                link rel="stylesheet" href="/dashboard/style.css";
                script defer src="/dashboard/script.js" {}
            }
            body {
                nav {
                    a href="/" { "Servers and jobs" }
                    a href="/dashboard/registry" { "Registry" }
                }
                main {
                    h1 { (title) }
                    (sections)
                }
            }
        }
    }
}

/// Addresses of other pages of a table.
#[derive(Default)]
pub(super) struct PageLinks {
    /// The first page, unless it is this one.
    pub(super) first: Option<String>,
    /// The next page, if there is one.
    pub(super) next: Option<String>,
    /// Texts of the two links.
    pub(super) names: [&'static str; 2],
}

/// Renders a table with a heading, and the links to its other pages.
pub(super) fn section<const COLUMNS: usize>(
    heading: &str,
    columns: Option<[&str; COLUMNS]>,
    rows: impl Iterator<Item = [Markup; COLUMNS]>,
    links: &PageLinks,
) -> Markup {
    let PageLinks { first, next, names: [first_name, next_name] } = links;
    html! {
        section {
            h2 { (heading) }
            table {
                @if let Some(columns) = columns {
                    thead { tr { @for column in columns { th scope="col" { (column) } } } }
                }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
            @if first.is_some() || next.is_some() {
                nav aria-label={ "Pages of " (heading) } {
                    @if let Some(first) = first { a href=(first) { (first_name) } }
                    @if let Some(next) = next { a href=(next) { (next_name) } }
                }
            }
        }
    }
}

/// Renders the text of a cell.
pub(super) fn text(text: impl Render) -> Markup {
    html! { (text) }
}
