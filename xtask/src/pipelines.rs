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
use gates::fuzz::Fuzz;
use gates::test::Test;
use lab::smoke_faults::SmokeFaults;
use lab::smoke_fresh::SmokeFresh;
use lab::smoke_hostile::SmokeHostile;
use lab::smoke_images::SmokeImages;
use lab::smoke_iso::SmokeIso;
use lab::smoke_provision::SmokeProvision;
use lab::smoke_registry::SmokeRegistry;
use lab::smoke_sbom::SmokeSbom;
use lab::smoke_test_artifacts::SmokeTestArtifacts;
use publish::push::Publish;
use publish::sign::{Attest, Sign};
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

/// Defaults of a pipeline.
const PLAIN: Pipeline = Pipeline {
    name: "",
    about: "",
    example: "",
    own: arguments::add_nothing,
    preset: Preset::Nothing,
    environment: None,
    parts: &[],
    stages: &[],
};

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
pub(crate) const STEPS: &[&dyn Step] = &{
    let mut steps: [&dyn Step; GATES.len() + OTHERS.len()] = [&Book; GATES.len() + OTHERS.len()];
    let (gates, others) = steps.split_at_mut(GATES.len());
    others.copy_from_slice(OTHERS);
    let mut n = 0;
    while n < gates.len() {
        gates[n] = GATES[n].step;
        n += 1;
    }
    steps
};

/// The steps that are not gates of `validate`.
const OTHERS: &[&dyn Step] = &[
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
        own: arguments::add_validate,
        stages: GATES,
        ..PLAIN
    },
    Pipeline {
        name: "release",
        about: "Run all gates, then build, sign, publish and verify a release",
        example: "--snapshot",
        own: arguments::add_release,
        stages: &RELEASE,
        ..PLAIN
    },
    Pipeline {
        name: "dist",
        about: "Build binaries, packages, SBOMs and checksums",
        example: "--target x86_64",
        own: arguments::add_dist,
        stages: DIST,
        ..PLAIN
    },
    Pipeline {
        name: "determinism",
        about: "Build everything twice under variations and compare all bytes",
        example: "",
        own: arguments::add_determinism,
        stages: DETERMINISM,
        ..PLAIN
    },
];

/// `cargo xtask validate --changed`, and `--staged` for the commit hook: gates that compile
/// nothing.
pub(crate) const HOOK: Pipeline = Pipeline {
    name: "validate",
    about: "Run the gates of changed files that compile nothing",
    example: "--changed",
    stages: &select::<{ count(true) }>(true),
    ..PLAIN
};

/// `cargo xtask release --snapshot`: without gates.
pub(crate) const SNAPSHOT: Pipeline = Pipeline {
    name: "release",
    about: "Build, sign, publish and verify a snapshot of any commit",
    example: "--snapshot",
    stages: SNAPSHOT_STAGES,
    ..PLAIN
};

/// `cargo xtask dist --split`: without checksums, which cover the whole release.
pub(crate) const SPLIT: Pipeline = Pipeline {
    name: "dist",
    about: "Build a part of a release",
    example: "--split --target x86_64",
    stages: DIST.split_at(DIST.len() - 1).0,
    ..PLAIN
};

/// `cargo xtask dist --merge`.
pub(crate) const MERGE: Pipeline = Pipeline {
    name: "dist",
    about: "Merge parts of a release",
    example: "--merge DIR…",
    stages: &[first(&Merge), stage_after(&Checksums, &["merge"])],
    ..PLAIN
};

/// `cargo xtask test`: without coverage counters.
pub(crate) const TEST: Test = Test { counted: false };

/// All gates.
const GATES: &[Stage] = &select::<{ count(false) }>(false);

/// Names of [`GATES`].
const GATE_NAMES: &[&str] = &{
    let mut names = [""; GATES.len()];
    let mut n = 0;
    while n < names.len() {
        names[n] = gates::GATES[n].name;
        n += 1;
    }
    names
};

/// The gates, or those of the commit hook.
const fn select<const N: usize>(hook: bool) -> [Stage; N] {
    let mut stages = [gates::GATES[0].stage; N];
    let (mut from, mut to) = (0, 0);
    while from < gates::GATES.len() {
        if gates::GATES[from].in_hook || !hook {
            stages[to] = gates::GATES[from].stage;
            to += 1;
        }
        from += 1;
    }
    stages
}

/// The number of gates that [`select`] takes.
const fn count(hook: bool) -> usize {
    let (mut n, mut count) = (0, 0);
    while n < gates::GATES.len() {
        if gates::GATES[n].in_hook || !hook {
            count += 1;
        }
        n += 1;
    }
    count
}

/// From source to packages.
const DIST: &[Stage] = &[
    first(&Build::ALL),
    stage_after(&Package, &["build"]),
    stage_after(&Sbom, &["package"]),
    stage_after(&Checksums, &["sbom"]),
];

/// All reproducible artifacts, built twice.
const DETERMINISM: &[Stage] = &[
    first(&Build::ALL),
    stage_after(&Package, &["build"]),
    stage_after(&Images, &["build"]),
    // Only one step at a time downloads packages.
    stage_after(&Maintenance, &["images"]),
    stage_after(&Iso, &["maintenance"]),
    stage_after(&Sbom, &["package", "iso"]),
    first(&Book),
    stage_after(&Checksums, &["sbom", "book"]),
    stage_after(&Rebuild::ALL, &["checksums"]),
];

/// From source to a verified publication in a local registry. The compiler is on the critical path:
/// steps without our binaries run beside it, and images wait only for the binaries in them.
const SNAPSHOT_STAGES: &[Stage] = &[
    first(&Build::IN_IMAGES),
    // Only one step at a time downloads packages; later steps use its downloads.
    first(&Bases),
    stage_after(&Build::NOT_IN_IMAGES, &["build-for-images"]),
    // Beside the compiler, the ISO takes longest, so its steps start first.
    stage_after(&Maintenance, &["build-for-images", "bases"]),
    stage_after(&Iso, &["maintenance"]),
    stage_after(&Programs, &["bases"]),
    stage_after(&Package, &["build", "programs"]),
    stage_after(&Images, &["iso"]),
    stage_after(&Sbom, &["package", "images"]),
    first(&Book),
    stage_after(&Checksums, &["sbom", "book"]),
    stage_after(&Sign, &["checksums"]),
    stage_after(&Attest, &["sign"]),
    stage_after(&Publish, &["attest"]),
    stage_after(&Verify, &["publish"]),
];

/// All gates, then the stages of a snapshot: a release builds nothing before all gates have passed.
const RELEASE: [Stage; GATES.len() + SNAPSHOT_STAGES.len()] =
    chain(GATES, GATE_NAMES, SNAPSHOT_STAGES);

/// `first` and `second`. Independent steps of `second` depend on `names`.
const fn chain<const N: usize>(
    first: &[Stage],
    names: &'static [&'static str],
    second: &[Stage],
) -> [Stage; N] {
    let mut stages = [Stage { step: &Book, after: &[] }; N];
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
const fn stage_after(step: &'static dyn Step, after: &'static [&'static str]) -> Stage {
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
