// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! in-toto statements (in-toto attestation specification, Statement v1).

use std::collections::BTreeMap;

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Sha256;

/// Payload type of a DSSE envelope with a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type` of the statements written here.
const TYPE: &str = "https://in-toto.io/Statement/v1";
/// `_type` that `cosign attest` writes; the structure is the same.
const OLD_TYPE: &str = "https://in-toto.io/Statement/v0.1";

/// Predicate type of an image signature, as `cosign sign` writes it since 3.0.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// Predicate type of an SBOM in `CycloneDX`.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// Predicate type of an SBOM in SPDX.
pub const SPDX: &str = "https://spdx.dev/Document";
/// Predicate type of an `OpenVEX` document (`ATTESTING.md` of its specification).
pub const OPENVEX: &str = "https://openvex.dev/ns";

/// A statement: a typed predicate about subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// The contents that the statement is about.
    pub subject: Vec<Subject>,
    /// URI of the predicate type.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The predicate, in the form that its type defines.
    #[serde(default)]
    pub predicate: Value,
}

/// A content that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Display name; only the digest is compared. cosign leaves it empty for images.
    #[serde(default)]
    pub name: String,
    /// Algorithm to lower-case hex.
    pub digest: BTreeMap<String, String>,
    /// Key and value pairs of `cosign sign -a`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// Reason why a payload is not the expected statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or an unexpected structure; the message has line, column and field.
    #[error("the statement is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Not an in-toto statement.
    #[error("the statement's type is {0:?}, expected {TYPE:?}")]
    Type(String),
    /// Another predicate type, such as that of an attestation instead of a signature.
    #[error("it is a statement of type {found:?}, expected {expected:?}")]
    PredicateType {
        /// Predicate type found.
        found: String,
        /// Predicate type expected.
        expected: String,
    },
    /// Another subject, or another number of subjects.
    #[error("its subjects are {found}, expected {expected}")]
    Subject {
        /// Digests of the subjects.
        found: String,
        /// The expected digests.
        expected: String,
    },
}

impl Statement {
    /// Creates a statement about one subject, `name` with the SHA-256 `digest`.
    pub fn new(name: &str, digest: &Sha256, predicate_type: &str, predicate: Value) -> Self {
        Self::of_subjects([(name, *digest)], predicate_type, predicate)
    }

    /// Creates a statement about several subjects, each a name and a SHA-256.
    pub fn of_subjects<'a>(
        subjects: impl IntoIterator<Item = (&'a str, Sha256)>,
        predicate_type: &str,
        predicate: Value,
    ) -> Self {
        let subject = |(name, digest): (&str, Sha256)| Subject {
            name: name.to_owned(),
            digest: BTreeMap::from([("sha256".to_owned(), hex(&digest))]),
            annotations: BTreeMap::new(),
        };
        Self {
            kind: TYPE.to_owned(),
            subject: subjects.into_iter().map(subject).collect(),
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Parses a statement of any type and subject.
    ///
    /// # Errors
    /// When the bytes are not an in-toto statement, or have unknown fields.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(payload)?;
        if statement.kind != TYPE && statement.kind != OLD_TYPE {
            return Err(StatementError::Type(statement.kind));
        }
        Ok(statement)
    }

    /// Serialises the statement as the payload to sign.
    ///
    /// # Errors
    /// When the predicate can't be serialised, which a JSON value does not allow.
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Checks that the predicate type is `predicate_type` and the only subject is `digest`.
    ///
    /// # Errors
    /// [`StatementError::PredicateType`] or [`StatementError::Subject`].
    pub fn expect(&self, predicate_type: &str, digest: &Sha256) -> Result<(), StatementError> {
        if self.predicate_type != predicate_type {
            return Err(StatementError::PredicateType {
                found: self.predicate_type.clone(),
                expected: predicate_type.to_owned(),
            });
        }
        self.expect_subjects(std::slice::from_ref(digest))
    }

    /// Checks that the subjects are `digests`, in this order.
    ///
    /// # Errors
    /// [`StatementError::Subject`].
    pub fn expect_subjects(&self, digests: &[Sha256]) -> Result<(), StatementError> {
        let expected: Vec<_> =
            digests.iter().map(|it| vec![format!("sha256:{}", hex(it))]).collect();
        let names = |it: &Subject| -> Vec<_> {
            it.digest.iter().map(|(name, hex)| format!("{name}:{hex}")).collect()
        };
        let found: Vec<Vec<String>> = self.subject.iter().map(names).collect();
        if found == expected {
            return Ok(());
        }
        let [found, expected] = [found, expected].map(|it| it.concat().join(", "));
        Err(StatementError::Subject { found, expected })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::key::sha256;

    #[test]
    fn the_text_is_the_specifications() {
        let statement = Statement::new("a", &sha256(b""), COSIGN_SIGN, json!({}));
        assert_eq!(
            String::from_utf8(statement.to_json().unwrap()).unwrap(),
            concat!(
                r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":"#,
                r#"{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"#,
                r#""predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#,
            )
        );
    }

    #[test]
    fn another_kind_another_subject_and_several_subjects_are_refused() {
        let digest = sha256(b"x");
        let statement = Statement::new("a", &digest, COSIGN_SIGN, json!({}));
        statement.expect(COSIGN_SIGN, &digest).unwrap();
        let refused = |s: &Statement, t: &str, d: &[u8]| s.expect(t, &sha256(d)).unwrap_err();
        assert!(matches!(
            refused(&statement, CYCLONEDX, b"x"),
            StatementError::PredicateType { .. }
        ));
        assert!(matches!(refused(&statement, COSIGN_SIGN, b"y"), StatementError::Subject { .. }));
        let mut two = statement.clone();
        two.subject.extend(Statement::new("b", &sha256(b"y"), "", json!({})).subject);
        assert!(matches!(refused(&two, COSIGN_SIGN, b"x"), StatementError::Subject { .. }));
        let none = Statement { subject: Vec::new(), ..statement };
        assert!(matches!(refused(&none, COSIGN_SIGN, b"x"), StatementError::Subject { .. }));
    }

    #[test]
    fn each_of_several_subjects_is_expected() {
        let [one, two] = [b"x", b"y"].map(|it| sha256(it));
        let statement = Statement::of_subjects([("a", one), ("b", two)], CYCLONEDX, json!({}));
        statement.expect_subjects(&[one, two]).unwrap();
        for wrong in [&[one][..], &[two, one], &[one, two, one], &[]] {
            let error = statement.expect_subjects(wrong).unwrap_err();
            assert!(matches!(error, StatementError::Subject { .. }), "{error}");
        }
    }

    #[test]
    fn other_documents_are_not_taken_for_statements() {
        let good = Statement::new("a", &sha256(b""), CYCLONEDX, json!({"a": 1}));
        let text = String::from_utf8(good.to_json().unwrap()).unwrap();
        assert_eq!(Statement::parse(text.as_bytes()).unwrap(), good);
        assert!(matches!(
            Statement::parse(text.replace("Statement/v1", "Statement/v9").as_bytes()),
            Err(StatementError::Type(_))
        ));
        for bad in [r#"{"x":1,"#, "[]", &text.replace(r#"{"_type""#, r#"{"new":1,"_type""#)] {
            assert!(matches!(Statement::parse(bad.as_bytes()), Err(StatementError::Malformed(_))));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Statement::parse(&bytes));
        }
    }
}
