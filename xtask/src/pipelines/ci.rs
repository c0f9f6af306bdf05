// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The pipelines of `cargo xtask ci`, which workflows run whole or in parts.

use assemble::book::Book;
use assemble::build::Build;
use assemble::checksums::Checksums;
use assemble::images::Images;
use assemble::iso::Iso;
use assemble::maintenance::Maintenance;
use assemble::package::Package;
use assemble::sbom::Sbom;
use assemble::test_artifacts::TestArtifacts;
use engine::Environment;
use engine::graph::Stage;
use gates::fuzz::Fuzz;
use gates::soak::Soak;
use lab::rehearsal::Rehearsal;
use lab::smoke_fresh::SmokeFresh;
use lab::smoke_hostile::SmokeHostile;
use lab::smoke_iso::SmokeIso;
use lab::smoke_provision::SmokeProvision;
use lab::smoke_registry::SmokeRegistry;
use publish::outside::VerifyPublished;
use publish::promotion::Promotion;
use publish::push::Publish;
use publish::release_notes::ReleaseNotes;
use publish::sign::{Attest, Sign};
use publish::upkeep::{ApplyRetention, RefreshChannels};
use publish::verify::Verify;
use rebuild::Rebuild;
use rebuild::clean::CleanBuild;
use rebuild::snapshot::CompareSnapshot;

use super::{
    DETERMINISM, GATE_NAMES, GATES, PLAIN, Pipeline, Preset, SNAPSHOT_STAGES, chain, first,
    stage_after,
};
use crate::arguments;

/// Pipelines of `cargo xtask ci`, which must not skip gates.
pub(crate) const CI: &[Pipeline] = &[PULL_REQUEST, MAIN, TAG, NIGHTLY, RETENTION];

/// `cargo xtask ci pr --iso`.
pub(crate) const PULL_REQUEST_WITH_ISO: Pipeline = Pipeline {
    name: "pr",
    about: "Run all gates, and build binaries, images and the live ISO",
    example: "--iso",
    stages: &PR_WITH_ISO,
    ..PLAIN
};

const PULL_REQUEST: Pipeline = Pipeline {
    name: "pr",
    about: "Run all gates, and build binaries and images",
    example: "--iso",
    own: arguments::add_ci_pr,
    stages: &PR,
    ..PLAIN
};

/// `cargo xtask ci main`.
const MAIN: Pipeline = Pipeline {
    name: "main",
    about: "Run all gates, then build, sign, publish and test a snapshot",
    example: "--to 127.0.0.1:5000/provisioner",
    own: arguments::add_ci_main,
    preset: Preset::AllArchitectures,
    environment: Some(Environment::Staging),
    parts: &[
        ("check", GATES),
        ("build", &MAIN_BUILD),
        ("publish", MAIN_PUBLICATION),
        ("smoke", MAIN_SMOKE),
    ],
    stages: &MAIN_STAGES,
};

/// `cargo xtask ci release`.
const TAG: Pipeline = Pipeline {
    name: "release",
    about: "Run all gates, build the tag from nothing, and publish it",
    example: "--part build",
    own: arguments::add_ci_release,
    preset: Preset::AllArchitectures,
    environment: Some(Environment::Production),
    parts: &[
        ("check", GATES),
        ("build", TAG_BUILD),
        ("publish", TAG_PUBLICATION),
        ("verify", TAG_VERIFICATION),
    ],
    stages: &TAG_STAGES,
};

/// `cargo xtask ci release --rehearse`.
pub(crate) const REHEARSAL: Pipeline = Pipeline {
    name: "release",
    about: "Rehearse releases in a scratch folder",
    example: "--rehearse",
    stages: &[first(&Rehearsal)],
    ..PLAIN
};

/// `cargo xtask ci nightly`.
const NIGHTLY: Pipeline = Pipeline {
    name: "nightly",
    about: "Run the slow tests, build everything twice, and refresh the channels",
    example: "--part determinism",
    own: arguments::add_ci_nightly,
    preset: Preset::Everything,
    parts: &[("test", NIGHTLY_TESTS), ("determinism", DETERMINISM), ("channels", NIGHTLY_CHANNELS)],
    stages: &[
        first(&RefreshChannels),
        first(&Rehearsal),
        first(&Soak),
        // Both use all CPUs.
        stage_after(&Fuzz, &["soak"]),
        first(&Build::ALL),
        stage_after(&Package, &["build"]),
        stage_after(&Images, &["build"]),
        // `images` first: only one step at a time downloads packages, and the tool images are bound
        // into the OS.
        stage_after(&Maintenance, &["images"]),
        stage_after(&Iso, &["maintenance"]),
        stage_after(&Sbom, &["package", "iso"]),
        first(&Book),
        stage_after(&Checksums, &["sbom", "book"]),
        stage_after(&SmokeIso::ALL, &["iso"]),
        stage_after(&SmokeHostile, &["build", "fuzz"]),
        // Alone, as the next: both compile everything.
        stage_after(&Rebuild::ALL, &["checksums", "smoke-hostile", "smoke-iso-all"]),
        // It measures the time.
        stage_after(&SmokeFresh, &["rebuild"]),
    ],
    ..PLAIN
};

/// `cargo xtask ci retention`.
const RETENTION: Pipeline = Pipeline {
    name: "retention",
    about: "Write the list of expired releases to a file, and delete them",
    example: "--dry-run",
    own: arguments::add_ci_retention,
    stages: &[first(&ApplyRetention)],
    ..PLAIN
};

/// The slow tests of `ci nightly`.
const NIGHTLY_TESTS: &[Stage] = &[
    first(&Rehearsal),
    first(&Soak),
    stage_after(&Fuzz, &["soak"]),
    first(&Build::ALL),
    stage_after(&Images, &["build"]),
    stage_after(&Maintenance, &["images"]),
    stage_after(&Iso, &["maintenance"]),
    stage_after(&SmokeIso::ALL, &["iso"]),
    stage_after(&SmokeHostile, &["build", "fuzz"]),
    stage_after(&SmokeFresh, &["smoke-hostile", "smoke-iso-all"]),
];

/// Keeps the records of channels from expiring.
const NIGHTLY_CHANNELS: &[Stage] = &[first(&RefreshChannels)];

/// The steps of a snapshot that build: up to the checksums.
const ARTIFACTS: &[Stage] = SNAPSHOT_STAGES.split_at(SNAPSHOT_STAGES.len() - 4).0;

/// Builds a snapshot, and a part of it twice.
const MAIN_BUILD: [Stage; ARTIFACTS.len() + 1] =
    chain(ARTIFACTS, &["checksums"], &[first(&Rebuild::PART)]);

/// Publishes a snapshot of the main branch to staging, and reads it with the programs of others.
const MAIN_PUBLICATION: &[Stage] = &[
    first(&Sign),
    stage_after(&Attest, &["sign"]),
    stage_after(&Publish, &["attest"]),
    stage_after(&Verify, &["publish"]),
    stage_after(&Promotion, &["verify"]),
    stage_after(&SmokeRegistry, &["promote"]),
];

/// Provisions a host with the published snapshot.
const MAIN_SMOKE: &[Stage] =
    &[first(&TestArtifacts), stage_after(&SmokeProvision, &["test-artifacts"])];

const MAIN_STAGES: [Stage;
    GATES.len() + MAIN_BUILD.len() + MAIN_PUBLICATION.len() + MAIN_SMOKE.len()] = {
    let built: [Stage; GATES.len() + MAIN_BUILD.len()] = chain(GATES, GATE_NAMES, &MAIN_BUILD);
    let published: [Stage; GATES.len() + MAIN_BUILD.len() + MAIN_PUBLICATION.len()] =
        chain(&built, &["rebuild-part"], MAIN_PUBLICATION);
    chain(&published, &["smoke-registry"], MAIN_SMOKE)
};

/// Builds the release of a tag from nothing.
const TAG_BUILD: &[Stage] = &[
    first(&ReleaseNotes),
    stage_after(&CleanBuild, &["release-notes"]),
    stage_after(&CompareSnapshot, &["clean-build"]),
];

/// Publishes the release of a tag to production.
const TAG_PUBLICATION: &[Stage] = &[
    first(&Sign),
    stage_after(&Attest, &["sign"]),
    stage_after(&Publish, &["attest"]),
    stage_after(&Promotion, &["publish"]),
];

/// Reads the published release, as users do.
const TAG_VERIFICATION: &[Stage] = &[
    first(&VerifyPublished),
    stage_after(&SmokeRegistry, &["verify-outside"]),
    stage_after(&SmokeIso::FIRST, &["smoke-registry"]),
];

const TAG_STAGES: [Stage;
    GATES.len() + TAG_BUILD.len() + TAG_PUBLICATION.len() + TAG_VERIFICATION.len()] = {
    let built: [Stage; GATES.len() + TAG_BUILD.len()] = chain(GATES, GATE_NAMES, TAG_BUILD);
    let published: [Stage; GATES.len() + TAG_BUILD.len() + TAG_PUBLICATION.len()] =
        chain(&built, &["compare-snapshot"], TAG_PUBLICATION);
    chain(&published, &["promote"], TAG_VERIFICATION)
};

/// All gates, plus a build of binaries and tool images, without a push.
const PR: [Stage; GATES.len() + 2] = {
    let mut stages = [first(&Build::ALL); GATES.len() + 2];
    let (gates, _) = stages.split_at_mut(GATES.len());
    gates.copy_from_slice(GATES);
    stages[GATES.len() + 1] = stage_after(&Images, &["build"]);
    stages
};

/// [`PR`] plus the maintenance OS and its ISO.
const PR_WITH_ISO: [Stage; PR.len() + 2] = {
    let mut stages = [first(&Build::ALL); PR.len() + 2];
    let (pr, _) = stages.split_at_mut(PR.len());
    pr.copy_from_slice(&PR);
    // Only one step at a time downloads packages.
    stages[PR.len()] = stage_after(&Maintenance, &["images"]);
    stages[PR.len() + 1] = stage_after(&Iso, &["maintenance"]);
    stages
};
