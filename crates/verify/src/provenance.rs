// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The provenance of a release: how it is written, and how it is checked.
//!
//! The build type is our own, documented in `docs/explanation/slsa.md`. All of it is derived from
//! the manifest, except for pipeline and builder.

use release::{Channel, Manifest, Source, layout};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signing::slsa::{
    BuildDefinition, Builder, PREDICATE_TYPE, Provenance, ResourceDescriptor, RunDetails,
};
use signing::{Trust, sha256_from_hex};

use crate::Policy;
use crate::files::Folder;
use crate::report::{Check, Findings, Problem};
use crate::signatures::{bundle, image_digest, image_statement};

/// `externalParameters` of our build type: all that somebody can decide about a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The pipeline that `cargo xtask` ran.
    pub pipeline: Pipeline,
    /// The channel of the build.
    pub channel: Channel,
    /// Repository and commit, and whether the work tree differed from it.
    pub source: Source,
}

/// The pipelines that write a release folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pipeline {
    /// A push to the main branch.
    Main,
    /// A tag, or a manual run.
    Release,
    /// A schedule.
    Nightly,
}

/// URI of our build type.
pub fn build_type(source_uri: &str) -> String {
    format!("{source_uri}/buildtypes/release/v1")
}

/// `builder.id` of a build on a person's machine.
pub fn local_builder(source_uri: &str) -> String {
    format!("{source_uri}/builders/local/v1")
}

/// The provenance of everything that `manifest` names.
pub fn build(manifest: &Manifest, pipeline: Pipeline, builder: &str) -> Provenance<Parameters> {
    let mut dependencies: Vec<_> = manifest
        .materials
        .iter()
        .map(|m| ResourceDescriptor { uri: m.uri.clone(), digest: m.digest.clone() })
        .collect();
    dependencies.sort();
    Provenance {
        build_definition: BuildDefinition {
            build_type: build_type(&manifest.source.uri),
            external_parameters: Parameters {
                pipeline,
                channel: manifest.channel,
                source: manifest.source.clone(),
            },
            internal_parameters: Map::new(),
            resolved_dependencies: dependencies,
        },
        run_details: RunDetails { builder: Builder { id: builder.to_owned() } },
    }
}

/// Checks the provenance of each file and image.
pub(crate) fn check(
    folder: &Folder,
    manifest: &Manifest,
    trust: Trust<'_>,
    policy: &Policy,
    findings: &mut Findings,
) {
    let builder = policy.builder.clone();
    let builder = builder.unwrap_or_else(|| local_builder(&manifest.source.uri));
    // A missing file was reported with its content, and so was a bad digest of an image.
    let files = manifest.artifacts.iter().map(|artifact| {
        let digest = folder.facts(&artifact.path).ok().and_then(|(d, _)| sha256_from_hex(d.hex()));
        let place = layout::provenance(&artifact.path);
        let predicate = bundle(folder, &place).and_then(|bundle| {
            let verify = |digest| bundle.verify_statement(trust, PREDICATE_TYPE, &digest);
            Ok(digest.map(verify).transpose()?)
        });
        (artifact.path.as_str(), place, predicate)
    });
    let images = manifest.images.iter().filter_map(|image| {
        let (name, digest) = (image.repository.as_str(), image_digest(image)?);
        let place = layout::provenance(name);
        let predicate = image_statement(folder, &place, image, trust, PREDICATE_TYPE, &digest);
        Some((name, place, predicate.map(Some)))
    });
    for (name, place, statement) in files.chain(images) {
        match statement.map(|it| it.map(|it| it.predicate)) {
            Ok(None) => {}
            Ok(Some(predicate)) => {
                for deviation in deviations(manifest, &builder, predicate) {
                    let problem = Problem::Provenance(deviation);
                    findings.fault(name, Check::Provenance, &place, problem);
                }
            }
            Err(problem) => findings.fault(name, Check::Provenance, &place, problem),
        }
    }
}

/// Differences between a signed predicate and the provenance that `manifest` and policy require.
pub(crate) fn deviations(manifest: &Manifest, builder: &str, predicate: Value) -> Vec<String> {
    let found: Provenance<Parameters> = match serde_json::from_value(predicate) {
        Ok(found) => found,
        // Including an unknown parameter.
        Err(e) => return vec![format!("its provenance is malformed: {e}")],
    };
    let expected = build(manifest, found.build_definition.external_parameters.pipeline, builder);
    let (f, e) = (&found.build_definition, &expected.build_definition);
    let (fp, ep) = (&f.external_parameters, &e.external_parameters);
    let mut deviations = Vec::new();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            deviations.push(format!("its {what} is {found}, expected {expected}"));
        }
    };
    let quoted = |text: &str| format!("{text:?}");
    compare("builder", quoted(&found.run_details.builder.id), quoted(builder));
    compare("build type", quoted(&f.build_type), quoted(&e.build_type));
    compare("source", quoted(&fp.source.uri), quoted(&ep.source.uri));
    compare("commit", quoted(&fp.source.commit), quoted(&ep.source.commit));
    compare("dirty flag", fp.source.dirty.to_string(), ep.source.dirty.to_string());
    compare("channel", format!("{:?}", fp.channel), format!("{:?}", ep.channel));
    if !f.internal_parameters.is_empty() {
        let names: Vec<_> = f.internal_parameters.keys().cloned().collect();
        deviations.push(format!("it has unknown parameters: {}", names.join(", ")));
    }
    for one in e.resolved_dependencies.iter().filter(|d| !f.resolved_dependencies.contains(d)) {
        deviations.push(format!("it lacks the input {} {:?}", one.uri, one.digest));
    }
    for one in f.resolved_dependencies.iter().filter(|d| !e.resolved_dependencies.contains(d)) {
        let ResourceDescriptor { uri, digest } = one;
        deviations.push(format!("it has the input {uri} {digest:?}, which release.json lacks"));
    }
    deviations
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use release::Material;
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let source = Source {
            uri: "https://example.org/source".to_owned(),
            commit: "c0ffee".to_owned(),
            dirty: false,
        };
        let version = "1.0.0".to_owned();
        let mut manifest = Manifest::new("p".into(), version, Channel::Stable, source, 0);
        let digest = BTreeMap::from([("gitCommit".to_owned(), "c0ffee".to_owned())]);
        manifest.materials.push(Material { uri: "git+x@c0ffee".to_owned(), digest });
        manifest
    }

    fn predicate() -> Value {
        serde_json::to_value(build(&manifest(), Pipeline::Release, "b")).unwrap()
    }

    #[test]
    fn the_form_is_slsas() {
        let expected = json!({
            "buildDefinition": {
                "buildType": "https://example.org/source/buildtypes/release/v1",
                "externalParameters": {
                    "pipeline": "release",
                    "channel": "stable",
                    "source": {"uri": "https://example.org/source", "commit": "c0ffee", "dirty": false},
                },
                "internalParameters": {},
                "resolvedDependencies": [{"uri": "git+x@c0ffee", "digest": {"gitCommit": "c0ffee"}}],
            },
            "runDetails": {"builder": {"id": "b"}},
        });
        assert_eq!(predicate(), expected);
        assert_eq!(deviations(&manifest(), "b", expected), Vec::<String>::new());
    }

    #[test]
    fn each_deviation_is_named() {
        let cases = [
            ("/runDetails/builder/id", json!("evil"), "builder"),
            ("/buildDefinition/buildType", json!("x"), "build type"),
            ("/buildDefinition/externalParameters/channel", json!("snapshot"), "channel"),
            ("/buildDefinition/externalParameters/pipeline", json!("x"), "unknown variant"),
            ("/buildDefinition/externalParameters/source/uri", json!("x"), "source"),
            ("/buildDefinition/externalParameters/source/commit", json!("x"), "commit"),
            ("/buildDefinition/externalParameters/source/dirty", json!(true), "dirty"),
            (
                "/buildDefinition/internalParameters",
                json!({"debug": 1}),
                "unknown parameters: debug",
            ),
            ("/buildDefinition/resolvedDependencies", json!([]), "lacks the input git+x@c0ffee"),
            ("/buildDefinition/resolvedDependencies/0/uri", json!("y"), "has the input y"),
        ];
        for (place, value, expected) in cases {
            let mut changed = predicate();
            *changed.pointer_mut(place).unwrap() = value;
            let found = deviations(&manifest(), "b", changed).join("\n");
            assert!(found.contains(expected), "{place}: {found}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_at_every_place() {
        for place in [
            "",
            "/buildDefinition",
            "/buildDefinition/externalParameters",
            "/buildDefinition/externalParameters/source",
            "/runDetails",
            "/runDetails/builder",
        ] {
            let mut changed = predicate();
            changed.pointer_mut(place).unwrap()["injected"] = json!("x");
            let found = deviations(&manifest(), "b", changed).join("\n");
            assert!(found.contains("injected"), "{place}: {found}");
        }
    }
}
