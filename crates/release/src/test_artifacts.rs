// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Small operating systems for tests of an installation. They are in no release and cannot be added
//! to one: a release consists of [`Image`](crate::Image)s, and nothing converts one to the other.
//!
//! ```compile_fail,E0308
//! fn promote(release: &mut release::Manifest, test: release::TestArtifact) {
//!     release.put_image(test);
//! }
//! ```
//!
//! Their record has another schema than a release, and each of their manifests has an annotation,
//! so that a forged record is detected, too.

use serde::{Deserialize, Serialize};

use crate::ManifestError;

/// The value of `schema`.
const SCHEMA: &str = "provisioner/test-artifacts/v1";

/// The name of the record in the folder with the artifacts' layouts.
pub const RECORD: &str = "test-artifacts.json";

/// Prefix of their names in a registry. No repository of a release is below it.
pub const NAMESPACE: &str = "ci";

/// The annotation with the value `true` that each of their manifests and indexes has, and none of a release.
pub const NON_PRODUCTION: &str = "example.provisioner.non-production";

/// The result of one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestArtifacts {
    /// Always `provisioner/test-artifacts/v1`.
    pub schema: String,
    /// The version of the source.
    pub version: String,
    /// The artifacts, sorted by name.
    pub artifacts: Vec<TestArtifact>,
}

/// A test artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestArtifact {
    /// Its name, and that of the folder of its OCI layout beside the record: `linux`.
    pub name: String,
    /// `sha256:…` of its manifest or index.
    pub digest: String,
}

impl TestArtifacts {
    /// The record of `artifacts`.
    pub fn new(version: String, mut artifacts: Vec<TestArtifact>) -> Self {
        artifacts.sort();
        Self { schema: SCHEMA.to_owned(), version, artifacts }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the bytes are not JSON of this shape, or of another schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let record: Self = serde_json::from_slice(bytes)?;
        if record.schema == SCHEMA {
            Ok(record)
        } else {
            Err(ManifestError::Schema { found: record.schema })
        }
    }

    /// The text of the record.
    ///
    /// # Errors
    /// When serialisation fails, which the types here do not allow.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl TestArtifact {
    /// Its repository without a registry.
    pub fn repository(&self) -> String {
        format!("{NAMESPACE}/{}", self.name)
    }
}

/// Whether the repository `name`, without a registry and its prefix, is one of test artifacts.
pub fn is_test_repository(name: &str) -> bool {
    name.split('/').next() == Some(NAMESPACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn record() -> TestArtifacts {
        let artifact = |name: &str| TestArtifact {
            name: name.to_owned(),
            digest: format!("sha256:{}", "0".repeat(64)),
        };
        TestArtifacts::new("0.1.0".to_owned(), vec![artifact("windows"), artifact("linux")])
    }

    #[test]
    fn a_record_reads_back_sorted() {
        let text = record().to_json().unwrap();
        let read = TestArtifacts::parse(text.as_bytes()).unwrap();
        assert_eq!(read, record());
        assert_eq!(read.artifacts[0].repository(), "ci/linux");
    }

    #[test]
    fn neither_record_is_taken_for_the_other() {
        let text = record().to_json().unwrap();
        assert!(matches!(Manifest::parse(text.as_bytes()), Err(ManifestError::Schema { .. })));
        let other = text.replace("test-artifacts/v1", "release/v1");
        assert!(matches!(
            TestArtifacts::parse(other.as_bytes()),
            Err(ManifestError::Schema { .. })
        ));
        assert!(Manifest::parse(other.as_bytes()).is_err());
    }

    #[test]
    fn only_what_is_below_the_namespace_is_of_tests() {
        assert!(is_test_repository("ci/linux") && is_test_repository("ci"));
        assert!(!is_test_repository("tools/ci") && !is_test_repository("cinema/x"));
    }
}
