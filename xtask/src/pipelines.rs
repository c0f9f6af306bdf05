// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The pipelines and their steps, and the steps that are commands.

mod ci;

use std::collections::BTreeSet;

use assemble::bases::Bases;
use assemble::book::Book;
use assemble::build::Build;
use assemble::checksums::Checksums;
use assemble::images::Images;
use assemble::iso::Iso;
use assemble::maintenance::Maintenance;
use assemble::merge::Merge;
use assemble::package::Package;
use assemble::programs::Programs;
use assemble::sbom::Sbom;
use assemble::test_artifacts::TestArtifacts;
use clap::Command;
use engine::graph::Stage;
use engine::{Argument, Environment, Step};
use gates::audit::Audit;
use gates::commits::Commits;
use gates::containers::Containers;
use gates::coverage::Coverage;
use gates::deadcode::Deadcode;
use gates::docs::Docs;
use gates::fmt::Fmt;
use gates::fuzz::Fuzz;
use gates::headers::Headers;
use gates::layers::Layers;
use gates::licenses::Licenses;
use gates::lint::Lint;
use gates::schema::Schema;
use gates::secrets::Secrets;
use gates::test::Test;
use gates::workflows::Workflows;
use lab::smoke_faults::SmokeFaults;
use lab::smoke_fresh::SmokeFresh;
use lab::smoke_hostile::SmokeHostile;
use lab::smoke_images::SmokeImages;
use lab::smoke_iso::SmokeIso;
use lab::smoke_provision::SmokeProvision;
use lab::smoke_registry::SmokeRegistry;
use lab::smoke_sbom::SmokeSbom;
use lab::smoke_test_artifacts::SmokeTestArtifacts;
use publish::attest::Attest;
use publish::push::Publish;
use publish::sign::Sign;
use publish::verify::Verify;
use rebuild::Rebuild;

pub(crate) use self::ci::{CI, PULL_REQUEST_WITH_ISO, REHEARSAL};
use crate::arguments;
use crate::doctor;

/// A named graph of steps.
pub(crate) struct Pipeline {
    /// Command name.
    pub(crate) name: &'static str,
    /// One line for `--help`.
    pub(crate) about: &'static str,
    /// Arguments of the example in `--help`.
    pub(crate) example: &'static str,
    /// Arguments of its own, beyond those that its steps share.
    pub(crate) own: fn(Command) -> Command,
    /// Options that it presets.
    pub(crate) preset: Preset,
    /// Where it publishes.
    pub(crate) environment: Option<Environment>,
    /// Parts that CI runs on machines of their own: steps by the value of `--part`.
    pub(crate) parts: &'static [Part],
    /// Steps, in the order of the summary table.
    pub(crate) stages: &'static [Stage],
}

/// A part of a pipeline: its name, and its steps.
pub(crate) type Part = (&'static str, &'static [Stage]);

/// Options that a pipeline presets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// None.
    Nothing,
    /// All architectures.
    AllArchitectures,
    /// All architectures, and the maintenance OS with bound tool images.
    Everything,
}

impl Pipeline {
    /// Options that its command shares with its steps.
    pub(crate) fn arguments(&self) -> BTreeSet<Argument> {
        let steps = self.stages.iter().flat_map(|stage| stage.step.arguments());
        steps.filter(|it| it.is_shared()).copied().collect()
    }
}

/// All steps that are commands.
pub(crate) const STEPS: &[&dyn Step] = &[
    &Fmt,
    &Lint,
    &TEST,
    &Coverage,
    &Headers,
    &Layers,
    &Licenses,
    &Audit,
    &Deadcode,
    &Schema,
    &Containers,
    &WORKFLOWS,
    &Secrets,
    &Docs,
    &Commits,
    &Book,
    &Build::ALL,
    &Package,
    &Sbom,
    &Images,
    &TestArtifacts,
    &Maintenance,
    &Iso,
    &Checksums,
    &Sign,
    &Attest,
    &Publish,
    &Verify,
    &Fuzz,
];

/// Steps of `cargo xtask smoke`, by subcommand.
pub(crate) const SMOKE: &[(&str, &dyn Step)] = &[
    ("faults", &SmokeFaults),
    ("hostile", &SmokeHostile),
    ("fresh", &SmokeFresh),
    ("images", &SmokeImages),
    ("provision", &SmokeProvision),
    ("registry", &SmokeRegistry),
    ("sbom", &SmokeSbom),
    ("test-artifacts", &SmokeTestArtifacts),
    ("iso", &SmokeIso::FIRST),
    ("iso-all", &SmokeIso::ALL),
];

/// Pipelines that are commands.
pub(crate) const PIPELINES: &[Pipeline] = &[
    Pipeline {
        name: "validate",
        about: "Run all gates in parallel",
        example: "",
        own: arguments::of_validate,
        preset: Preset::Nothing,
        environment: None,
        parts: &[],
        stages: GATES,
    },
    Pipeline {
        name: "release",
        about: "Run all gates, then build, sign, publish and verify a release",
        example: "--snapshot",
        own: arguments::of_release,
        preset: Preset::Nothing,
        environment: None,
        parts: &[],
        stages: &RELEASE,
    },
    Pipeline {
        name: "dist",
        about: "Build binaries, packages, SBOMs and checksums",
        example: "--target x86_64",
        own: arguments::of_dist,
        preset: Preset::Nothing,
        environment: None,
        parts: &[],
        stages: DIST,
    },
    Pipeline {
        name: "determinism",
        about: "Build everything twice under variations and compare all bytes",
        example: "",
        own: arguments::of_determinism,
        preset: Preset::Nothing,
        environment: None,
        parts: &[],
        stages: DETERMINISM,
    },
];

/// `cargo xtask validate --changed`, and `--staged` for the commit hook: gates that compile
/// nothing.
pub(crate) const HOOK: Pipeline = Pipeline {
    name: "validate",
    about: "Run the gates of changed files that compile nothing",
    example: "--changed",
    own: arguments::none,
    preset: Preset::Nothing,
    environment: None,
    parts: &[],
    stages: &[
        first(&Fmt),
        first(&Headers),
        first(&Layers),
        first(&Licenses),
        first(&Deadcode),
        first(&Schema),
        first(&Containers),
        first(&WORKFLOWS),
        first(&Secrets),
        first(&Docs),
    ],
};

/// Checks workflows against these pipelines.
const WORKFLOWS: Workflows =
    Workflows { pipelines: &["main", "nightly", "pr", "release", "retention"] };

/// `cargo xtask release --snapshot`: without gates.
pub(crate) const SNAPSHOT: Pipeline = Pipeline {
    name: "release",
    about: "Build, sign, publish and verify a snapshot of any commit",
    example: "--snapshot",
    own: arguments::none,
    preset: Preset::Nothing,
    environment: None,
    parts: &[],
    stages: SNAPSHOT_STAGES,
};

/// `cargo xtask dist --split`: without checksums, which cover the whole release.
pub(crate) const SPLIT: Pipeline = Pipeline {
    name: "dist",
    about: "Build a part of a release",
    example: "--split --target x86_64",
    own: arguments::none,
    preset: Preset::Nothing,
    environment: None,
    parts: &[],
    stages: DIST.split_at(DIST.len() - 1).0,
};

/// `cargo xtask dist --merge`.
pub(crate) const MERGE: Pipeline = Pipeline {
    name: "dist",
    about: "Merge parts of a release",
    example: "--merge DIR…",
    own: arguments::none,
    preset: Preset::Nothing,
    environment: None,
    parts: &[],
    stages: &[first(&Merge), after(&Checksums, &["merge"])],
};

/// Tests without coverage counters.
const TEST: Test = Test { counted: false };

/// Tests with coverage counters: the gate `coverage` uses the same run.
const COUNTED: Test = Test { counted: true };

/// Independent, except that `coverage` needs `test`, so that one run shows all faults.
const GATES: &[Stage] = &[
    first(&Fmt),
    first(&Lint),
    first(&COUNTED),
    after(&Coverage, &["test"]),
    first(&Headers),
    first(&Layers),
    first(&Licenses),
    first(&Audit),
    first(&Deadcode),
    first(&Schema),
    first(&Containers),
    first(&WORKFLOWS),
    first(&Secrets),
    first(&Docs),
    first(&Commits),
];

/// From source to packages.
const DIST: &[Stage] = &[
    first(&Build::ALL),
    after(&Package, &["build"]),
    after(&Sbom, &["package"]),
    after(&Checksums, &["sbom"]),
];

/// All reproducible artifacts, built twice.
const DETERMINISM: &[Stage] = &[
    first(&Build::ALL),
    after(&Package, &["build"]),
    after(&Images, &["build"]),
    // Only one step at a time downloads packages.
    after(&Maintenance, &["images"]),
    after(&Iso, &["maintenance"]),
    after(&Sbom, &["package", "iso"]),
    first(&Book),
    after(&Checksums, &["sbom", "book"]),
    after(&Rebuild::ALL, &["checksums"]),
];

/// From source to a verified publication in a local registry. The compiler is on the critical path:
/// steps without our binaries run beside it, and images wait only for the binaries in them.
const SNAPSHOT_STAGES: &[Stage] = &[
    first(&Build::IN_IMAGES),
    // Only one step at a time downloads packages; later steps use its downloads.
    first(&Bases),
    after(&Build::NOT_IN_IMAGES, &["build-for-images"]),
    // The ISO is the longest way beside the compiler, so its steps start first.
    after(&Maintenance, &["build-for-images", "bases"]),
    after(&Iso, &["maintenance"]),
    after(&Programs, &["bases"]),
    after(&Package, &["build", "programs"]),
    after(&Images, &["iso"]),
    after(&Sbom, &["package", "images"]),
    first(&Book),
    after(&Checksums, &["sbom", "book"]),
    after(&Sign, &["checksums"]),
    after(&Attest, &["sign"]),
    after(&Publish, &["attest"]),
    after(&Verify, &["publish"]),
];

/// All gates, then the stages of a snapshot: a release builds nothing before all gates have passed.
const RELEASE: [Stage; GATES.len() + SNAPSHOT_STAGES.len()] =
    then(GATES, GATE_NAMES, SNAPSHOT_STAGES);

/// `first` and `second`; the steps of `second` that wait for nothing wait for `names`.
const fn then<const N: usize>(
    first: &[Stage],
    names: &'static [&'static str],
    second: &[Stage],
) -> [Stage; N] {
    let mut stages = [Stage { step: &Fmt, after: &[] }; N];
    let (start, mut rest) = stages.split_at_mut(first.len());
    start.copy_from_slice(first);
    rest.copy_from_slice(second);
    while let Some((stage, others)) = rest.split_first_mut() {
        if stage.after.is_empty() {
            stage.after = names;
        }
        rest = others;
    }
    stages
}

/// Names of [`GATES`].
const GATE_NAMES: &[&str] = &[
    "fmt",
    "lint",
    "test",
    "coverage",
    "headers",
    "layers",
    "licenses",
    "audit",
    "deadcode",
    "schema",
    "containers",
    "workflows",
    "secrets",
    "docs",
    "commits",
];

/// Commands by which `doctor` groups programs, in the order in which they are needed.
pub(crate) fn commands() -> Vec<doctor::Command> {
    let of = |stages: &[Stage]| stages.iter().map(|stage| stage.step).collect();
    let command =
        |name: &str, steps, counts| doctor::Command { name: name.to_owned(), steps, counts };
    let smoke =
        SMOKE.iter().map(|(name, step)| command(&format!("smoke {name}"), vec![*step], false));
    [command("validate", of(GATES), true), command("release", of(SNAPSHOT_STAGES), true)]
        .into_iter()
        .chain(smoke)
        .chain([
            command("determinism", of(DETERMINISM), false),
            command("other commands", STEPS.to_vec(), false),
        ])
        .collect()
}

/// An independent step.
const fn first(step: &'static dyn Step) -> Stage {
    Stage { step, after: &[] }
}

/// A step that depends on others.
const fn after(step: &'static dyn Step, after: &'static [&'static str]) -> Stage {
    Stage { step, after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stages: &[Stage]) -> Vec<&'static str> {
        stages.iter().map(|stage| stage.step.name()).collect()
    }

    #[test]
    fn a_snapshot_runs_no_gate() {
        let gates: Vec<_> = SNAPSHOT
            .stages
            .iter()
            .filter(|it| it.step.is_gate())
            .map(|it| it.step.name())
            .collect();
        assert_eq!(gates, [""; 0]);
    }

    #[test]
    fn a_release_builds_nothing_before_every_gate_of_validate_has_passed() {
        assert_eq!(names(GATES), GATE_NAMES);
        let gates: BTreeSet<_> = GATE_NAMES.iter().copied().collect();
        let (first, artifacts) = RELEASE.split_at(GATES.len());
        assert_eq!(names(first), GATE_NAMES);
        assert_eq!(names(artifacts), names(SNAPSHOT_STAGES));
        for stage in artifacts {
            let mut before: BTreeSet<&str> = stage.after.iter().copied().collect();
            // Each round follows the edges one step back.
            for _ in 0..RELEASE.len() {
                let further = RELEASE.iter().filter(|it| before.contains(it.step.name()));
                before.extend(further.flat_map(|it| it.after).collect::<Vec<_>>());
            }
            assert!(gates.is_subset(&before), "{} waits for {before:?}", stage.step.name());
        }
    }
}
