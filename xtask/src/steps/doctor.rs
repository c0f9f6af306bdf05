// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tells which programs were found, which are missing, and what fixes that.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Need, Step};
use crate::run::Run;
use crate::tool::programs;

/// Every program of the catalogue.
#[derive(Debug, Serialize)]
pub(crate) struct Examination {
    tools: Vec<Line>,
}

/// One program.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    purpose: &'static str,
    /// The version that is there.
    found: Option<String>,
    /// Where it is.
    path: Option<String>,
    /// The oldest version that does; empty where any does.
    wanted: String,
    /// Whether a step fails without it.
    required: bool,
    /// The steps that use it.
    used_by: Vec<&'static str>,
    /// The command to run, when something is wrong.
    fix: Option<String>,
}

/// Looks at every program that `steps` use.
pub(crate) fn examine(run: &Run, steps: &[&'static dyn Step]) -> Examination {
    let needs: Vec<_> = steps.iter().map(|step| (step.name(), step.needs(run))).collect();
    let line = |spec: &'static crate::tool::Spec| {
        let uses = |need: &Need| matches!(need, Need::Tool(name) | Need::Wanted(name) | Need::Test(name) if *name == spec.name);
        let used_by: Vec<_> =
            needs.iter().filter(|(_, needs)| needs.iter().any(uses)).map(|it| it.0).collect();
        Line {
            name: spec.label(),
            purpose: spec.purpose,
            found: run.tools.version(spec.name),
            path: run.tools.find(spec.name).map(|path| path.display().to_string()),
            wanted: if spec.oldest.is_empty() {
                spec.oldest()
            } else {
                format!(">= {}", spec.oldest())
            },
            required: needs.iter().any(|(_, needs)| needs.contains(&Need::Tool(spec.name))),
            used_by,
            fix: run.tools.check(spec.name).err().map(|missing| missing.fix),
        }
    };
    Examination { tools: programs().map(line).collect() }
}

impl Examination {
    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{:19} {:10} {:10} used by\n", "program", "found", "wanted");
        for line in &self.tools {
            let found = match (&line.found, &line.path) {
                (Some(version), _) => version,
                (None, Some(_)) if line.wanted.is_empty() => "yes",
                (None, Some(_)) => "unknown",
                (None, None) => "-",
            };
            let used_by = if line.used_by.is_empty() {
                "nothing here".into()
            } else {
                line.used_by.join(", ")
            };
            let optional = if line.required { "" } else { " (optional)" };
            let wanted = line.wanted.as_str();
            // Writing into a String has no way to fail.
            let _infallible =
                writeln!(out, "{:19} {found:10} {wanted:10} {used_by}{optional}", line.name);
            if let Some(fix) = &line.fix {
                let _infallible = writeln!(out, "{:19} fix: {fix}", "");
            }
        }
        if self.exit_code() == 0 {
            out.push_str("\nNothing that is required is missing.\n");
        } else {
            out.push_str("\n`cargo xtask setup` installs what is missing.\n");
        }
        out
    }

    /// 0 when every program that a step can't do without is there, 1 otherwise.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(self.tools.iter().any(|line| line.required && line.fix.is_some()))
    }
}
