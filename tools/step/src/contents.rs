// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! File contents in a plan.

use std::fmt::{self, Display};

use recipe::ContentSummary;
use serde::{Serialize, Serializer};

/// Bytes that a plan writes. They may be secret, so only size and digest are printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents(Vec<u8>);

impl Contents {
    /// The bytes, for writing only, never for printing.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Size and digest, which may be printed.
    pub(crate) fn summary(&self) -> ContentSummary {
        ContentSummary::new(&self.0)
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for Contents {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({self})")
    }
}

impl Serialize for Contents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.summary().serialize(serializer)
    }
}
