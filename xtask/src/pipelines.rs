// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which steps make a pipeline, and which are commands of their own.

use std::collections::BTreeSet;

use assemble::bases::Bases;
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
use engine::{Argument, Step};
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
use gates::soak::Soak;
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

use crate::arguments;
use crate::doctor;

/// Steps in an order, under a name.
pub(crate) struct Pipeline {
    /// The name of its command.
    pub(crate) name: &'static str,
    /// One line for `--help`.
    pub(crate) about: &'static str,
    /// What follows its name in the example of `--help`.
    pub(crate) example: &'static str,
    /// What it takes itself, beside what its steps share.
    pub(crate) own: fn(Command) -> Command,
    /// What it does where the command line does not say otherwise.
    pub(crate) preset: Preset,
    /// The steps; the order of the table at the end.
    pub(crate) stages: &'static [Stage],
}

/// Options that a pipeline sets itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// None.
    Nothing,
    /// Every architecture, and the tool images inside the maintenance OS.
    Everything,
}

impl Pipeline {
    /// What its command shares with its steps.
    pub(crate) fn arguments(&self) -> BTreeSet<Argument> {
        let steps = self.stages.iter().flat_map(|stage| stage.step.arguments());
        steps.filter(|it| it.is_shared()).copied().collect()
    }
}

/// Every step that is a command.
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

/// Steps of `cargo xtask smoke`, by what they try.
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
        about: "Run every gate that CI runs, in parallel",
        example: "",
        own: arguments::of_validate,
        preset: Preset::Nothing,
        stages: GATES,
    },
    Pipeline {
        name: "release",
        about: "Build, sign, publish and verify a release; without --snapshot, run every gate first",
        example: "--snapshot",
        own: arguments::of_release,
        preset: Preset::Nothing,
        stages: &RELEASE,
    },
    Pipeline {
        name: "dist",
        about: "Build binaries, packages, SBOMs and checksums",
        example: "--target x86_64",
        own: arguments::of_dist,
        preset: Preset::Nothing,
        stages: DIST,
    },
    Pipeline {
        name: "determinism",
        about: "Build everything twice under variations, and compare every byte",
        example: "",
        own: arguments::of_determinism,
        preset: Preset::Nothing,
        stages: DETERMINISM,
    },
];

/// Pipelines of `cargo xtask ci`, where no gate may be left out.
pub(crate) const CI: &[Pipeline] = &[PULL_REQUEST, NIGHTLY];

/// `cargo xtask ci pr --iso`.
pub(crate) const PULL_REQUEST_WITH_ISO: Pipeline = Pipeline {
    name: "pr",
    about: "Run every gate, and build binaries, images and the live ISO",
    example: "--iso",
    own: arguments::none,
    preset: Preset::Nothing,
    stages: &PR_WITH_ISO,
};

const PULL_REQUEST: Pipeline = Pipeline {
    name: "pr",
    about: "Run every gate, and build binaries and images",
    example: "--iso",
    own: arguments::of_pull_request,
    preset: Preset::Nothing,
    stages: &PR,
};

const NIGHTLY: Pipeline = Pipeline {
    name: "nightly",
    about: "Run what takes too long for a pull request: random faults, fuzzing, every boot mode",
    example: "",
    own: arguments::none,
    preset: Preset::Everything,
    stages: &[
        first(&Soak),
        // Both use all processors.
        after(&Fuzz, &["soak"]),
        first(&Build::ALL),
        after(&Images, &["build"]),
        // One at a time fetches packages; the tool images go into it.
        after(&Maintenance, &["images"]),
        after(&Iso, &["maintenance"]),
        after(&SmokeIso::ALL, &["iso"]),
        after(&SmokeHostile, &["build", "fuzz"]),
        // It compiles everything, and measures how long that takes.
        after(&SmokeFresh, &["smoke-hostile", "smoke-iso-all"]),
    ],
};

/// `cargo xtask validate --changed`, and `--staged` for the commit hook: what compiles nothing.
pub(crate) const HOOK: Pipeline = Pipeline {
    name: "validate",
    about: "Run the gates of changed files that compile nothing",
    example: "--changed",
    own: arguments::none,
    preset: Preset::Nothing,
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

/// Workflows and pipelines are held against each other.
const WORKFLOWS: Workflows = Workflows { pipelines: &["nightly", "pr"] };

/// `cargo xtask release --snapshot`: the gates belong to `validate` and to releases.
pub(crate) const SNAPSHOT: Pipeline = Pipeline {
    name: "release",
    about: "Build, sign, publish and verify a snapshot of any commit",
    example: "--snapshot",
    own: arguments::none,
    preset: Preset::Nothing,
    stages: SNAPSHOT_STAGES,
};

/// `cargo xtask dist --split`: the checksums are those of the whole.
pub(crate) const SPLIT: Pipeline = Pipeline {
    name: "dist",
    about: "Build a part of a release",
    example: "--split --target x86_64",
    own: arguments::none,
    preset: Preset::Nothing,
    stages: DIST.split_at(DIST.len() - 1).0,
};

/// `cargo xtask dist --merge`.
pub(crate) const MERGE: Pipeline = Pipeline {
    name: "dist",
    about: "Put parts of a release together",
    example: "--merge DIR…",
    own: arguments::none,
    preset: Preset::Nothing,
    stages: &[first(&Merge), after(&Checksums, &["merge"])],
};

/// Tests without counters, where nothing asks for the coverage.
const TEST: Test = Test { counted: false };

/// One run of the tests serves two gates: the coverage takes the counts that it leaves.
const COUNTED: Test = Test { counted: true };

/// None waits for another, but the coverage for the tests: all faults in one run.
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

/// Every gate, and that what is delivered can be built: binaries and tool images, without a push.
const PR: [Stage; GATES.len() + 2] = {
    let mut stages = [first(&Build::ALL); GATES.len() + 2];
    let (gates, _) = stages.split_at_mut(GATES.len());
    gates.copy_from_slice(GATES);
    stages[GATES.len() + 1] = after(&Images, &["build"]);
    stages
};

/// The same, the maintenance OS and its ISO.
const PR_WITH_ISO: [Stage; PR.len() + 2] = {
    let mut stages = [first(&Build::ALL); PR.len() + 2];
    let (pr, _) = stages.split_at_mut(PR.len());
    pr.copy_from_slice(&PR);
    // One at a time fetches packages.
    stages[PR.len()] = after(&Maintenance, &["images"]);
    stages[PR.len() + 1] = after(&Iso, &["maintenance"]);
    stages
};

/// From source to packages.
const DIST: &[Stage] = &[
    first(&Build::ALL),
    after(&Package, &["build"]),
    after(&Sbom, &["package"]),
    after(&Checksums, &["sbom"]),
];

/// Everything whose bytes may not differ, twice.
const DETERMINISM: &[Stage] = &[
    first(&Build::ALL),
    after(&Package, &["build"]),
    after(&Images, &["build"]),
    // One at a time fetches packages.
    after(&Maintenance, &["images"]),
    after(&Iso, &["maintenance"]),
    after(&Sbom, &["package", "iso"]),
    after(&Checksums, &["sbom"]),
    after(&Rebuild, &["checksums"]),
];

/// From source to what a registry serves, verified from there. The compiler is on the longest way through
/// it. What needs no binary of ours is made beside it, and images wait for the binaries in them alone.
const SNAPSHOT_STAGES: &[Stage] = &[
    first(&Build::IN_IMAGES),
    // One at a time fetches packages: what comes after it finds them fetched.
    first(&Bases),
    after(&Build::NOT_IN_IMAGES, &["build-for-images"]),
    // The ISO is the longest way beside the compiler, so its steps start first.
    after(&Maintenance, &["build-for-images", "bases"]),
    after(&Iso, &["maintenance"]),
    after(&Programs, &["bases"]),
    after(&Package, &["build", "programs"]),
    after(&Images, &["iso"]),
    after(&Sbom, &["package", "images"]),
    after(&Checksums, &["sbom"]),
    after(&Sign, &["checksums"]),
    after(&Attest, &["sign"]),
    after(&Publish, &["attest"]),
    after(&Verify, &["publish"]),
];

/// Every gate, then the stages of a snapshot: a release builds nothing before all gates have passed.
const RELEASE: [Stage; GATES.len() + SNAPSHOT_STAGES.len()] = {
    let mut stages = [first(&Build::ALL); GATES.len() + SNAPSHOT_STAGES.len()];
    let (gates, artifacts) = stages.split_at_mut(GATES.len());
    gates.copy_from_slice(GATES);
    artifacts.copy_from_slice(SNAPSHOT_STAGES);
    let mut rest: &mut [Stage] = artifacts;
    while let Some((stage, others)) = rest.split_first_mut() {
        if stage.after.is_empty() {
            stage.after = GATE_NAMES;
        }
        rest = others;
    }
    stages
};

/// The names of [`GATES`].
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

/// The commands that `doctor` groups programs by, in the order in which people need them.
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

/// A step that waits for no other.
const fn first(step: &'static dyn Step) -> Stage {
    Stage { step, after: &[] }
}

/// A step that comes after others.
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
            // Each round goes one edge back.
            for _ in 0..RELEASE.len() {
                let further = RELEASE.iter().filter(|it| before.contains(it.step.name()));
                before.extend(further.flat_map(|it| it.after).collect::<Vec<_>>());
            }
            assert!(gates.is_subset(&before), "{} waits for {before:?}", stage.step.name());
        }
    }
}
