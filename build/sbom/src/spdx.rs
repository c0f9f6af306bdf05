// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Shared by SPDX 2.3 and 3.0.1: identifiers, namespaces and licence texts.

use oci::Digest;

use super::bom::{self, Bom, Component, Kind, Origin};

/// Scope of build-time components (SPDX 3.0.1, `LifecycleScopeType`).
pub(super) const BUILD: &str = "build";

/// SBOM type in both versions (SPDX 3.0.1, `SbomType`): from build data, or from analysis of the
/// result.
pub(super) fn lifecycle(origin: &Origin<'_>) -> &'static str {
    if origin.scanner.is_some() { "analyzed" } else { BUILD }
}

/// Identifier after `SPDXRef-` or `#`: readable, and unique by a digest of the reference.
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

/// Replaces all characters except letters, digits, `.` and `-` (SPDX 2.3, 3.2 and Annex D).
pub(super) fn plain(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    text.chars().map(keep).collect()
}

/// Namespace of a document: unique, and equal for equal content. `version` is that of the format;
/// `unnamed` is the document without namespace.
pub(super) fn namespace(bom: &Bom, origin: &Origin<'_>, version: u32, unnamed: &[u8]) -> String {
    let Component { name, version: of, .. } = &bom.subject;
    let uuid = bom::uuid(&Digest::sha256(unnamed));
    let (source, name, of) = (origin.source, plain(name), plain(of));
    format!("{source}/spdx/{version}/{name}-{of}-{uuid}")
}

/// Text of a licence without an SPDX identifier; the format requires one.
pub(super) fn license_text(name: &str) -> String {
    format!("The licence that the Debian copyright file of the package calls {name:?}.")
}
