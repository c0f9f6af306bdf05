// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the pages are made of.

use std::fmt::Write as _;

/// A page that is being written.
pub(super) struct Page(String);

impl Page {
    /// Begins a page with a title, which is escaped.
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <link rel=\"stylesheet\" href=\"/dashboard/style.css\">\
             <script defer src=\"/dashboard/script.js\"></script></head><body>\
             <nav><a href=\"/\">Servers and jobs</a><a href=\"/dashboard/registry\">Registry</a></nav>\
             <main><h1>{title}</h1>\n"
        ))
    }

    /// Adds a part; its content is HTML.
    pub(super) fn section(&mut self, heading: &str, content: &str) {
        // Writing to a String can't fail, here and below.
        write!(self.0, "<section><h2>{}</h2>\n{content}</section>\n", escape(heading)).ok();
    }

    /// The whole page.
    pub(super) fn end(self) -> String {
        self.0 + "</main></body></html>\n"
    }
}

/// A table; its cells are HTML.
pub(super) fn table(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = String::from("<table>");
    if !heading.is_empty() {
        table.push_str("<thead><tr>");
        for text in heading {
            write!(table, "<th scope=\"col\">{}</th>", escape(text)).ok();
        }
        table.push_str("</tr></thead>");
    }
    table.push_str("<tbody>\n");
    for row in rows {
        table.push_str("<tr>");
        for cell in row {
            write!(table, "<td>{cell}</td>").ok();
        }
        table.push_str("</tr>\n");
    }
    table + "</tbody></table>\n"
}

/// A text as HTML, in an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
