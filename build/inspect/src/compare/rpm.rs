// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares RPM packages.

use super::members::{Member, archives};
use super::{Difference, bytes};
use crate::rpm::Package;

/// Location name of the payload.
const PAYLOAD: &str = "payload";

/// The difference, if both are RPM packages: files first, since other fields depend on them.
pub(super) fn package(first: &[u8], second: &[u8]) -> Option<Difference> {
    let (one, other) = (Package::parse(first)?, Package::parse(second)?);
    // The unpacked payload is more specific than the file digests in the header.
    let inside = bytes(one.payload, other.payload).filter(|found| !found.place.is_empty());
    inside
        .map(|found| found.nest_in(PAYLOAD))
        .or_else(|| archives(members(&one)?, members(&other)?))
}

fn members(package: &Package<'_>) -> Option<Vec<Member>> {
    let mut members: Vec<_> = package
        .files()?
        .into_iter()
        .map(|file| Member {
            path: file.path,
            fields: vec![("mode", file.mode), ("sha256", file.sha256)],
            content: Vec::new(),
        })
        .collect();
    let values = package.values().chain([(PAYLOAD.to_owned(), package.payload)]);
    let values = values.map(|(path, bytes)| (path, Vec::new(), bytes.to_owned()));
    members.extend(values.map(|(path, fields, content)| Member { path, fields, content }));
    Some(members)
}
