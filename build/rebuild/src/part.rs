// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The part of the artifacts that is built a second time for a commit. The id of the
//! commit chooses it, so that a run can be repeated.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use assemble::book::Book;
use assemble::build::{self, Build};
use assemble::images::Images;
use assemble::iso::Iso;
use assemble::maintenance::Maintenance;
use assemble::package::Package;
use assemble::sbom::Sbom;
use engine::{Run, Step, StepLog};
use foundation::tree;
use walkdir::WalkDir;

use crate::second::{SecondBuild, copy};

/// Name and steps of each part. The steps of a part need the results of others as the first build left them.
const PARTS: &[(&str, &[&dyn Step])] = &[
    ("book", &[&Book]),
    ("packages", &[&Build::ALL, &Package]),
    ("tool images", &[&Images]),
    ("maintenance OS", &[&Maintenance]),
    ("live ISO", &[&Iso]),
    ("SBOMs", &[&Sbom]),
];

/// The part that `commit` chooses.
pub(super) fn select_part(commit: &str) -> (&'static str, &'static [&'static dyn Step]) {
    let sum = commit.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31) ^ usize::from(byte));
    PARTS[sum % PARTS.len()]
}

/// A part, prepared for its second build.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Outputs of its steps, relative to the root.
    writes: Vec<PathBuf>,
}

impl Part {
    /// Whether the file or image at `path` of the release belongs to it.
    pub(super) fn has(&self, run: &Run, path: &str) -> bool {
        self.writes.iter().any(|it| run.dist_in_plan().join(path).starts_with(it))
    }
}

/// Copies binaries and release to the second build, without what the part's steps write.
pub(super) fn prepare(run: &Run, log: &StepLog, second: &SecondBuild) -> Result<Part> {
    let (name, steps) = select_part(run.workspace.commit());
    log.note(&format!("commit {} chooses: {name}", run.workspace.commit()));
    let root = run.workspace.root();
    for folder in [&run.dist_in_plan(), Path::new(build::FINISHED)] {
        for entry in WalkDir::new(root.join(folder)) {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(root)?;
                copy(entry.path(), &second.root.join(path))?;
            }
        }
    }
    let mut writes = Vec::new();
    for step in steps {
        writes.extend(step.plan(run)?.writes);
    }
    for path in &writes {
        tree::remove(&second.root.join(path))?;
    }
    Ok(Part { name, writes })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::second::STEPS;

    #[test]
    fn every_reproducible_step_but_the_sums_belongs_to_a_part() {
        let of_parts = PARTS.iter().flat_map(|it| it.1);
        let parts: BTreeSet<_> = of_parts.map(|step| step.name()).chain(["checksums"]).collect();
        let whole: BTreeSet<_> = STEPS.iter().map(|step| step.name()).collect();
        assert_eq!(parts, whole);
    }

    #[test]
    fn commits_choose_all_parts_and_each_always_the_same() {
        let of =
            |number: u32| select_part(&format!("{:040x}", number.wrapping_mul(2_654_435_761))).0;
        let chosen: BTreeSet<_> = (0..100).map(of).collect();
        assert_eq!(chosen.len(), PARTS.len(), "{chosen:?}");
        assert!((0..100).all(|number| of(number) == of(number)));
    }
}
