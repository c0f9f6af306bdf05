// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gates: steps that check the source and run the tests.
#![forbid(unsafe_code)]

pub mod audit;
pub mod commits;
pub mod containers;
pub mod coverage;
pub mod deadcode;
pub mod docs;
pub mod fmt;
pub mod fuzz;
pub mod headers;
pub mod layers;
pub mod licenses;
pub mod lint;
pub mod schema;
pub mod secrets;
pub mod soak;
pub mod test;
pub mod workflows;

use engine::Step;
use engine::graph::Stage;

/// A gate of `cargo xtask validate`.
#[derive(Clone, Copy)]
pub struct Gate {
    /// Its command.
    pub name: &'static str,
    /// Step and dependencies.
    pub stage: Stage,
    /// Whether the commit hook runs it: it compiles nothing.
    pub in_hook: bool,
}

impl Gate {
    const fn new(name: &'static str, step: &'static dyn Step) -> Self {
        Self { name, stage: Stage { step, after: &[] }, in_hook: false }
    }

    const fn after(self, after: &'static [&'static str]) -> Self {
        Self { stage: Stage { after, ..self.stage }, ..self }
    }

    const fn in_hook(self) -> Self {
        Self { in_hook: true, ..self }
    }
}

/// All gates, in the order of the summary table. Independent, except that `coverage` needs `test`, so that one
/// run shows all faults.
pub const GATES: &[Gate] = &[
    Gate::new("fmt", &fmt::Fmt).in_hook(),
    Gate::new("lint", &lint::Lint),
    // `coverage` uses the same run.
    Gate::new("test", &test::Test { counted: true }),
    Gate::new("coverage", &coverage::Coverage).after(&["test"]),
    Gate::new("headers", &headers::Headers).in_hook(),
    Gate::new("layers", &layers::Layers).in_hook(),
    Gate::new("licenses", &licenses::Licenses).in_hook(),
    Gate::new("audit", &audit::Audit),
    Gate::new("deadcode", &deadcode::Deadcode).in_hook(),
    Gate::new("schema", &schema::Schema).in_hook(),
    Gate::new("containers", &containers::Containers).in_hook(),
    Gate::new("workflows", &workflows::Workflows).in_hook(),
    Gate::new("secrets", &secrets::Secrets).in_hook(),
    Gate::new("docs", &docs::Docs).in_hook(),
    Gate::new("commits", &commits::Commits),
];
