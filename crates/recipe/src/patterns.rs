// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The regular expressions that the current schema and the typed model share.
//!
//! They use the part of ECMA 262 that `regex-lite` reads in the same way. The schema file repeats
//! each one, and a test compares both.

use std::sync::LazyLock;

use regex_lite::Regex;

/// A systemd target.
pub(crate) const TASK_TARGET: &str = r"^[a-z0-9.-]+\.target$";

/// The disks that a task may write to. A name never contains `..`, because no dot follows a dot.
pub(crate) const TARGET_DISK: &str = concat!(
    r"^/dev/(?:sd[a-z]+|vd[a-z]+|nvme[0-9]+n[0-9]+|md[0-9]+",
    r"|mapper/[A-Za-z0-9_:+@=,-]+(?:\.[A-Za-z0-9_:+@=,-]+)*",
    r"|disk/by-[a-z0-9-]+/[A-Za-z0-9_:+@=,-]+(?:\.[A-Za-z0-9_:+@=,-]+)*)$"
);

/// The udev link of a disk by its identity.
pub(crate) const DISK_ID: &str = r"^/dev/disk/by-id/[A-Za-z0-9_:+@=,-]+(?:\.[A-Za-z0-9_:+@=,-]+)*$";

/// An OCI reference that names a tag, a digest or both (the grammar of `distribution/reference`).
pub(crate) const OCI_REFERENCE: &str = concat!(
    r"^(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
    r"|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/)?",
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*",
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?",
    r"|@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))$"
);

/// A SHA-256 digest in lower-case hexadecimal.
pub(crate) const SHA256: &str = "^[0-9a-f]{64}$";

/// A number with a binary unit, or a percentage from 1 to 100.
pub(crate) const SIZE: &str = "^(?:[1-9][0-9]{0,6}[KMGT]|(?:[1-9][0-9]?|100)%)$";

/// A type code of `sgdisk`, or a GUID.
pub(crate) const TYPE_GUID: &str = concat!(
    "^(?:[0-9A-Fa-f]{4}",
    "|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$"
);

/// A label without control characters.
pub(crate) const LABEL: &str = r"^[^\u0000-\u001f\u007f]*$";

/// Whether `text` matches one of this module's expressions.
pub(crate) fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
        [TASK_TARGET, TARGET_DISK, DISK_ID, OCI_REFERENCE, SHA256, SIZE, TYPE_GUID, LABEL]
            .into_iter()
            .filter_map(|pattern| Some((pattern, Regex::new(pattern).ok()?)))
            .collect()
    });
    COMPILED.iter().any(|(known, regex)| *known == pattern && regex.is_match(text))
}
