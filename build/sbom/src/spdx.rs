// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What SPDX 2.3 and 3.0.1 have in common: names of documents and elements, and texts.

use oci::Digest;

use super::bom::{self, Bom, Component, Kind, Origin};

/// The phase of what only runs while the subject is built (SPDX 3.0.1, `LifecycleScopeType`).
pub(super) const BUILD: &str = "build";

/// How documents came about, as both versions name it (SPDX 3.0.1, `SbomType`): from what decided the
/// build, or by looking into what was built.
pub(super) fn lifecycle(origin: &Origin<'_>) -> &'static str {
    if origin.scanner.is_some() { "analyzed" } else { BUILD }
}

/// What `SPDXRef-…` or `…#` is followed by: readable, and unique by the digest of the reference.
pub(super) fn id(component: &Component) -> String {
    let kind = match component.kind {
        Kind::Application => "Application",
        Kind::Archive => "Package",
        Kind::Container => "Image",
        Kind::File => "File",
        Kind::Library => "Library",
        Kind::OperatingSystem => "System",
    };
    let name = plain(&component.name);
    let digest = Digest::sha256(component.reference.as_bytes());
    let unique: String = digest.hex().chars().take(16).collect();
    format!("{kind}-{name}-{unique}")
}

/// Only letters, digits, `.` and `-` (SPDX 2.3, 3.2 and Annex D).
pub(super) fn plain(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    text.chars().map(keep).collect()
}

/// The name of a document: nobody else's, and the same for the same content. `version` is that of the
/// format, `unnamed` the document without its name.
pub(super) fn namespace(bom: &Bom, origin: &Origin<'_>, version: u32, unnamed: &[u8]) -> String {
    let Component { name, version: of, .. } = &bom.subject;
    let uuid = bom::uuid(&Digest::sha256(unnamed));
    let (source, name, of) = (origin.source, plain(name), plain(of));
    format!("{source}/spdx/{version}/{name}-{of}-{uuid}")
}

/// What a licence stands for that SPDX has no name for: documents must hold some text.
pub(super) fn license_text(name: &str) -> String {
    format!("The licence that the Debian copyright file of the package calls {name:?}.")
}
