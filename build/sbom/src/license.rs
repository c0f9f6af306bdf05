// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Converts Debian licence names to SPDX expressions.
//!
//! Debian, "Machine-readable debian/copyright file", 1.0, "License specification": short names such
//! as `GPL-2+` and `Expat`, joined by `or`, `and` and a comma before either. SPDX has other names
//! for some and none for many; the latter become `LicenseRef-debian-…`.

use std::collections::{BTreeMap, BTreeSet};

use debian::copyright;

use super::spdx::plain;

/// Debian names with a different SPDX identifier.
const OTHERWISE: &[(&str, &str)] = &[
    ("Artistic", "Artistic-1.0-Perl"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSD-4-clause", "BSD-4-Clause"),
    ("Expat", "MIT"),
    ("zlib", "Zlib"),
];

/// Licence expression of a package, from its Debian copyright file; `None` if the file names no
/// licence.
pub fn read_expression(copyright: &str) -> Option<String> {
    expression(&copyright::licenses(copyright), &mut BTreeMap::new())
}

/// Combined expression of the licences `terms` of a package's files; `None` without any. Names
/// unknown to SPDX are added to `custom`.
pub(super) fn expression(
    terms: &BTreeSet<&str>,
    custom: &mut BTreeMap<String, String>,
) -> Option<String> {
    let all: BTreeSet<String> = terms.iter().map(|term| convert(term, custom)).collect();
    let alone = all.len() == 1;
    let parts: Vec<_> = all
        .into_iter()
        .map(|part| if !alone && part.contains(" OR ") { format!("({part})") } else { part })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

/// Converts one licence field. `or` binds weaker than `and`, and a comma makes an `and` weaker than
/// an `or` before it; fields with both are rare and kept as one name.
fn convert(term: &str, custom: &mut BTreeMap<String, String>) -> String {
    let words: Vec<_> = term.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
    let has = |wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
    let joined = match (has("or"), has("and"), has("with")) {
        (true, false, false) => Some(("or", " OR ")),
        (false, true, false) => Some(("and", " AND ")),
        _ => None,
    };
    let Some((separator, operator)) = joined else {
        return convert_name(&words.join(" "), custom);
    };
    let parts: Vec<_> = words
        .split(|word| word.eq_ignore_ascii_case(separator))
        .map(|words| convert_name(&words.join(" "), custom))
        .collect();
    parts.join(operator)
}

fn convert_name(name: &str, custom: &mut BTreeMap<String, String>) -> String {
    if let Some(known) = spdx_name(name) {
        return known;
    }
    let id = format!("LicenseRef-debian-{}", plain(name));
    custom.insert(id.clone(), name.to_owned());
    id
}

fn spdx_name(name: &str) -> Option<String> {
    let known = OTHERWISE.iter().find(|(debian, _)| *debian == name).map(|(_, spdx)| *spdx);
    let name = known.unwrap_or(name);
    let (stem, suffix) = match name.strip_suffix('+') {
        Some(stem) => (stem, "-or-later"),
        None => (name, "-only"),
    };
    // Debian omits a minor version of zero.
    let candidates = [
        name.to_owned(),
        format!("{stem}{suffix}"),
        format!("{stem}.0{suffix}"),
        format!("{stem}.0"),
    ];
    candidates.into_iter().find(|it| {
        // Identifiers without a suffix are deprecated where one with a suffix exists.
        spdx::license_id(it).is_some_and(|id| id.name == it && !id.is_deprecated())
            && (suffix == "-only" || it.ends_with(suffix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(terms: &[&str]) -> (Option<String>, Vec<String>) {
        let mut custom = BTreeMap::new();
        let text = expression(&terms.iter().copied().collect(), &mut custom);
        (text, custom.into_values().collect())
    }

    #[test]
    fn names_that_spdx_has_otherwise_are_its_names() {
        for (debian, spdx) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("GFDL-1.3", "GFDL-1.3-only"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("Apache-2", "Apache-2.0"),
            ("zlib", "Zlib"),
            ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
            ("GPL-2+, and Expat", "GPL-2.0-or-later AND MIT"),
        ] {
            assert_eq!(convert(&[debian]), (Some(spdx.to_owned()), Vec::new()), "{debian}");
        }
    }

    #[test]
    fn names_that_spdx_does_not_have_are_kept() {
        for (debian, spdx) in [
            ("public-domain", "LicenseRef-debian-public-domain"),
            ("GPL-2+ with OpenSSL exception", "LicenseRef-debian-GPL-2--with-OpenSSL-exception"),
            ("a or b and c", "LicenseRef-debian-a-or-b-and-c"),
            ("X11+", "LicenseRef-debian-X11-"),
        ] {
            let expected = (Some(spdx.to_owned()), vec![debian.to_owned()]);
            assert_eq!(convert(&[debian]), expected, "{debian}");
        }
    }

    #[test]
    fn all_licences_of_a_package_apply() {
        let (text, _) = convert(&["GPL-2+ or Artistic", "Expat"]);
        let text = text.unwrap();
        assert_eq!(text, "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT");
        spdx::Expression::parse(&text).unwrap();
        assert_eq!(convert(&[]), (None, Vec::new()));
    }
}
