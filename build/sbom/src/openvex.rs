// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `OpenVEX` documents (`OpenVEX` specification 0.2.0): how known vulnerabilities affect a release.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use foundation::epoch::rfc3339;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bom::{Origin, TOOL};
use crate::without_empty;

/// JSON-LD context: the version of the specification.
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

/// An assessment of one vulnerability.
#[derive(Debug, Clone)]
pub struct Assessment<'a> {
    /// Its id.
    pub vulnerability: &'a str,
    /// Other ids of it.
    pub aliases: &'a [String],
    /// Why the products are not affected, as a label of the specification; None: they are affected.
    pub justification: Option<&'static str>,
    /// The reason in words, or what is done about it.
    pub reason: &'a str,
    /// The products that it is about.
    pub products: Vec<Product>,
}

/// A file or image with the components that a vulnerability is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Product {
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    hashes: Hashes,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    subcomponents: BTreeSet<Subcomponent>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Hashes {
    #[serde(rename = "sha-256")]
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Subcomponent {
    #[serde(rename = "@id")]
    id: String,
}

/// Subject and components of an SBOM.
#[derive(Debug, Clone)]
pub struct Described {
    purl: Option<String>,
    sha256: String,
    components: Vec<String>,
}

impl Described {
    /// Reads a `CycloneDX` document of this project.
    ///
    /// # Errors
    /// When it is malformed, or its subject has no SHA-256.
    pub fn of_cyclonedx(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            metadata: Metadata,
            #[serde(default)]
            components: Vec<Component>,
        }
        #[derive(Deserialize)]
        struct Metadata {
            component: Component,
        }
        #[derive(Deserialize)]
        struct Component {
            purl: Option<String>,
            #[serde(default)]
            hashes: Vec<Hash>,
        }
        #[derive(Deserialize)]
        struct Hash {
            alg: String,
            content: String,
        }
        let Document { metadata, components } = serde_json::from_slice(bytes)?;
        let Component { purl, hashes } = metadata.component;
        let sha256 = hashes.into_iter().find(|it| it.alg == "SHA-256");
        Ok(Self {
            purl,
            sha256: sha256.context("its subject has no SHA-256")?.content,
            components: components.into_iter().filter_map(|it| it.purl).collect(),
        })
    }

    /// The product, if it contains crates. Which crate an advisory is about is in the advisory
    /// alone.
    pub fn with_crates(&self) -> Option<Product> {
        let has = self.components.iter().any(|purl| purl.starts_with("pkg:cargo/"));
        has.then(|| self.product(BTreeSet::new()))
    }

    /// The product with its packages from the Debian source package `source`, if it contains any.
    pub fn with_debian_source(&self, source: &str) -> Option<Product> {
        let from_source =
            self.components.iter().filter(|it| debian_source(it).as_deref() == Some(source));
        let found: BTreeSet<_> = from_source.map(|id| Subcomponent { id: id.clone() }).collect();
        (!found.is_empty()).then(|| self.product(found))
    }

    fn product(&self, subcomponents: BTreeSet<Subcomponent>) -> Product {
        let hashes = Hashes { sha256: self.sha256.clone() };
        Product { id: self.purl.clone(), hashes, subcomponents }
    }
}

/// The source package of a Debian package: the qualifier `upstream`, else its own name.
fn debian_source(purl: &str) -> Option<String> {
    let rest = purl.strip_prefix("pkg:deb/")?;
    let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let upstream = qualifiers.split('&').find_map(|it| it.strip_prefix("upstream="));
    let name = path.rsplit('/').next()?;
    let decoded = percent_decode_str(upstream.unwrap_or(name)).decode_utf8().ok()?;
    // Both may have a version: NAME@VERSION.
    decoded.split('@').next().map(str::to_owned)
}

/// Writes the document of `version` of the product; None without a statement, which the
/// specification does not allow.
///
/// # Errors
/// When the time is out of range.
pub fn to_json(
    assessments: &[Assessment<'_>],
    version: &str,
    origin: &Origin<'_>,
) -> Result<Option<String>> {
    let concerning = assessments.iter().filter(|it| !it.products.is_empty());
    let statements: Vec<_> = concerning
        .map(|it| {
            let Assessment { vulnerability, aliases, justification, reason, products } = it;
            let is_affected = justification.is_none();
            without_empty(json!({
                "vulnerability": without_empty(json!({"name": vulnerability, "aliases": aliases})),
                "products": products.iter().collect::<BTreeSet<_>>(),
                "status": if is_affected { "affected" } else { "not_affected" },
                "justification": justification,
                "status_notes": (!is_affected).then_some(reason),
                "action_statement": is_affected.then_some(reason),
            }))
        })
        .collect();
    if statements.is_empty() {
        return Ok(None);
    }
    let document = json!({
        "@context": CONTEXT,
        "@id": format!("{}/openvex/{version}", origin.source),
        "author": origin.vendor,
        "timestamp": rfc3339(origin.epoch)?,
        "version": 1,
        "tooling": format!("{TOOL} {}", origin.tool_version),
        "statements": statements,
    });
    Ok(Some(serde_json::to_string_pretty(&document)? + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin<'_> = Origin {
        tool_version: "1.0.0",
        vendor: "The Authors",
        source: "https://example.org/source",
        epoch: 1_760_000_000,
        scanner: None,
    };

    fn make_described() -> Described {
        let document = json!({
            "metadata": {"component": {
                "purl": "pkg:oci/example@sha256%3A00",
                "hashes": [{"alg": "SHA-256", "content": "00"}],
            }},
            "components": [
                {"purl": "pkg:cargo/serde@1.0.0"},
                {"purl": "pkg:deb/debian/libssl3@3.0.1?arch=amd64&upstream=openssl%403.0.0"},
                {"purl": "pkg:deb/debian/openssl@3.0.1?arch=amd64"},
                {"purl": "pkg:deb/debian/libstdc%2B%2B6@14?upstream=gcc-14"},
                {},
            ],
        });
        Described::of_cyclonedx(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_document_has_the_statuses_of_the_specification() {
        let aliases = ["CVE-2026-1".to_owned()];
        let assessments = [
            Assessment {
                vulnerability: "RUSTSEC-2026-0001",
                aliases: &aliases,
                justification: Some("vulnerable_code_not_in_execute_path"),
                reason: "only the server part is vulnerable",
                products: make_described().with_crates().into_iter().collect(),
            },
            Assessment {
                vulnerability: "CVE-2026-2",
                aliases: &[],
                justification: None,
                reason: "wait for the update",
                products: make_described().with_debian_source("openssl").into_iter().collect(),
            },
            Assessment {
                vulnerability: "CVE-2026-3",
                aliases: &[],
                justification: None,
                reason: "in no product",
                products: make_described().with_debian_source("bash").into_iter().collect(),
            },
        ];
        let text = to_json(&assessments, "1.2.3", &ORIGIN).unwrap().unwrap();
        insta::assert_snapshot!("openvex", text);
        assert_eq!(to_json(&assessments[2..], "1.2.3", &ORIGIN).unwrap(), None);
    }

    #[test]
    fn the_source_of_a_debian_package_is_decoded() {
        for (purl, expected) in [
            ("pkg:deb/debian/libstdc%2B%2B6@14?upstream=gcc-14", Some("gcc-14")),
            ("pkg:deb/debian/a@1?upstream=b%401%2B2&x=y", Some("b")),
            ("pkg:deb/debian/g%2B%2B@14", Some("g++")),
            ("pkg:cargo/serde@1", None),
        ] {
            assert_eq!(debian_source(purl).as_deref(), expected, "{purl}");
        }
    }
}
