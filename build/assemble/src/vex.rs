// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes the mitigations of advisories in release.toml as an `OpenVEX` document of the release.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use engine::Run;
use engine::workspace::{Justification, Mitigation};
use foundation::{atomic, tree};
use release::layout::{self, SbomFormat};
use release::{Artifact, ArtifactKind};
use sbom::bom::Origin;
use sbom::openvex::{self, Assessment, Described};

use super::package::artifact;

/// Writes `openvex.json`, and records it in the manifest. Without a mitigation that concerns the
/// release there is none.
pub(crate) fn write(run: &Run) -> Result<()> {
    let path = run.dist().join(layout::VEX);
    let written = if let Some(text) = document(run)? {
        atomic::write(&path, text.as_bytes())?;
        Some(artifact(&run.dist(), layout::VEX, ArtifactKind::Vex, None, None)?)
    } else {
        tree::remove(&path)?;
        tree::remove(&run.dist().join(layout::VEX_ATTESTATIONS))?;
        None
    };
    run.update_manifest(|manifest| {
        manifest.artifacts.retain(|known| known.kind != ArtifactKind::Vex);
        manifest.artifacts.extend(written);
        Ok(())
    })
}

fn document(run: &Run) -> Result<Option<String>> {
    let mitigations = &run.workspace.product().gates.audit.mitigation;
    if mitigations.is_empty() {
        return Ok(None);
    }
    let is_read = |it: &&Artifact| {
        let format = layout::sbom_format(&it.path);
        it.kind == ArtifactKind::Sbom && format == Some(SbomFormat::CycloneDx)
    };
    let mut described = Vec::new();
    for sbom in run.manifest()?.artifacts.iter().filter(is_read) {
        let path = run.dist().join(&sbom.path);
        let context = || format!("cannot read {}", path.display());
        let bytes = fs::read(&path).with_context(context)?;
        described.push(Described::of_cyclonedx(&bytes).with_context(context)?);
    }
    let mut assessments = Vec::new();
    for mitigation in mitigations {
        assessments.extend(assess(mitigation, &described)?);
    }
    let product = &run.workspace.product().product;
    let origin = Origin {
        tool_version: env!("CARGO_PKG_VERSION"),
        vendor: &product.vendor,
        source: &product.source,
        epoch: run.workspace.epoch(),
        scanner: None,
    };
    openvex::to_json(&assessments, run.version().text(), &origin)
}

/// The assessments of one mitigation: of an advisory about a crate, or of each vulnerability that a
/// security update of a Debian source package fixes.
fn assess<'a>(mitigation: &'a Mitigation, all: &[Described]) -> Result<Vec<Assessment<'a>>> {
    let Mitigation { id, reason, expires: _, justification, vulnerabilities } = mitigation;
    let assessment = |vulnerability: &'a str, aliases: &'a [String], products| Assessment {
        vulnerability,
        aliases,
        justification: justification.map(Justification::name),
        reason,
        products,
    };
    let Some((source, _)) = id.split_once('@') else {
        let products = all.iter().filter_map(Described::with_crates).collect();
        return Ok(vec![assessment(id, vulnerabilities, products)]);
    };
    ensure!(
        !vulnerabilities.is_empty(),
        "release.toml: [[gates.audit.mitigation]] {id} has no vulnerabilities\n\
         fix: list the ids that the update fixes, such as CVE-2026-1: they are published in {}",
        layout::VEX
    );
    let products: Vec<_> = all.iter().filter_map(|it| it.with_debian_source(source)).collect();
    Ok(vulnerabilities.iter().map(|id| assessment(id, &[], products.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse_sample() -> Vec<Described> {
        let text = r#"{"metadata": {"component": {"hashes": [{"alg": "SHA-256", "content": "00"}]}},
            "components": [{"purl": "pkg:cargo/a@1"}, {"purl": "pkg:deb/debian/sudo@1"}]}"#;
        vec![Described::of_cyclonedx(text.as_bytes()).unwrap()]
    }

    fn mitigation(mut fields: Value) -> Mitigation {
        fields["reason"] = json!("r");
        fields["expires"] = json!("2027-01-01");
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_crate_has_one_assessment_and_a_package_one_per_vulnerability() {
        let justified = mitigation(json!({
            "id": "RUSTSEC-2026-1",
            "justification": "vulnerable_code_not_present",
            "vulnerabilities": ["CVE-2026-1"],
        }));
        let found = assess(&justified, &parse_sample()).unwrap();
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(one.justification, Some("vulnerable_code_not_present"));
        assert_eq!((one.aliases, one.products.len()), (&["CVE-2026-1".to_owned()][..], 1));

        let vulnerabilities = json!(["CVE-2026-2", "CVE-2026-3"]);
        let package = mitigation(json!({"id": "sudo@1.2", "vulnerabilities": vulnerabilities}));
        let found = assess(&package, &parse_sample()).unwrap();
        let ids: Vec<_> = found.iter().map(|it| (it.vulnerability, it.justification)).collect();
        assert_eq!(ids, [("CVE-2026-2", None), ("CVE-2026-3", None)]);

        let unnamed = mitigation(json!({"id": "sudo@1.2"}));
        let error = assess(&unnamed, &parse_sample()).unwrap_err().to_string();
        assert!(error.contains("sudo@1.2 has no vulnerabilities"), "{error}");
    }
}
