// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Links and anchors of HTML that mdBook writes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

/// Links and ids of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Html {
    /// Values of `href` and `src`, in their order.
    pub links: Vec<String>,
    /// Values of `id`.
    pub anchors: BTreeSet<String>,
}

/// Reads a page. Attributes are in double quotes, as mdBook writes them.
pub fn read(text: &str) -> Html {
    static ATTRIBUTE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"<[a-z][^<>]*?\s(href|src|id)="([^"]*)"[^<>]*"#).ok());
    static INNER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\s(href|src|id)="([^"]*)""#).ok());
    let mut html = Html::default();
    let (Some(tag), Some(attribute)) = (&*ATTRIBUTE, &*INNER) else { return html };
    for tag in tag.find_iter(text) {
        for found in attribute.captures_iter(tag.as_str()) {
            let value = |group| found.get(group).map_or("", |it| it.as_str());
            let text = value(2).replace("&amp;", "&");
            match value(1) {
                "id" => {
                    html.anchors.insert(text);
                }
                _ => html.links.push(text),
            }
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_anchors_of_tags_are_read_and_those_of_text_are_not() {
        let html = read(
            "<a class=\"x\" href=\"a.html#b\">id=\"no\"</a><h2 id=\"b\"><img\n src=\"c.svg\" id=\"d\"/> \
             &lt;a href=\"no\"&gt; <a data-href=\"no\">",
        );
        assert_eq!(html.links, ["a.html#b", "c.svg"]);
        assert_eq!(html.anchors, ["b", "d"].map(str::to_owned).into());
    }
}
