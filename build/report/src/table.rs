// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tables of the page.

use maud::{Markup, html};

/// A table that scrolls where it is too wide; columns of numbers have a `#` before their title.
pub(crate) fn render<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [Markup; N]>,
) -> Markup {
    let is_number = columns.map(|it| it.starts_with('#').then_some("number"));
    html! {
        div.scroll {
            table {
                @if columns.iter().any(|it| !it.is_empty()) {
                    thead {
                        tr {
                            @for (column, class) in columns.iter().zip(is_number) {
                                th scope="col" class=[class] { (column.trim_start_matches('#')) }
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, class) in row.iter().zip(is_number) {
                                td class=[class] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}
