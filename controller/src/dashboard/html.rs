// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What all pages have. `maud` escapes every text.

use maud::{DOCTYPE, Markup, Render, html};

/// A page with a title around its sections.
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

/// A table under a heading.
pub(super) fn section<const COLUMNS: usize>(
    heading: &str,
    columns: Option<[&str; COLUMNS]>,
    rows: impl Iterator<Item = [Markup; COLUMNS]>,
) -> Markup {
    html! {
        section {
            h2 { (heading) }
            table {
                @if let Some(columns) = columns {
                    thead { tr { @for column in columns { th scope="col" { (column) } } } }
                }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

/// A text in a cell.
pub(super) fn text(text: impl Render) -> Markup {
    html! { (text) }
}
