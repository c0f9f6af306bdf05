// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reports found and missing programs and how to install them, grouped by command.

use std::collections::BTreeSet;

use engine::tool::{Spec, programs, spec};
use engine::{Need, Run, Step};
use foundation::text::count;
use serde::Serialize;

/// A command and its steps.
pub(crate) struct Command {
    /// Its call without `cargo xtask`.
    pub(crate) name: String,
    /// Its steps.
    pub(crate) steps: Vec<&'static dyn Step>,
    /// Whether `doctor` fails when one of its programs is missing.
    pub(crate) counts: bool,
}

/// All programs of commands, each listed at the first command that needs it.
#[derive(Debug, Serialize)]
pub(crate) struct Examination {
    groups: Vec<Group>,
}

/// Programs of a command.
#[derive(Debug, Serialize)]
struct Group {
    command: String,
    /// Missing ones first.
    programs: Vec<Program>,
    #[serde(skip)]
    counts: bool,
}

#[derive(Debug, Serialize)]
struct Program {
    name: &'static str,
    purpose: &'static str,
    /// Installed version.
    found: Option<String>,
    /// Path.
    path: Option<String>,
    /// Oldest accepted version; empty where any is.
    wanted: String,
    /// Whether a step of the command fails without it.
    required: bool,
    /// Steps of the command that use it.
    used_by: Vec<&'static str>,
    /// The command that fixes a problem.
    fix: Option<String>,
}

/// Checks every program that `commands` need, and with `all` the remaining programs too.
pub(crate) fn examine(run: &Run, commands: &[Command], all: bool) -> Examination {
    let mut seen = BTreeSet::new();
    let mut groups = Vec::new();
    for command in commands {
        let needs: Vec<_> =
            command.steps.iter().map(|step| (step.name(), step.needs(run))).collect();
        let named = needs.iter().flat_map(|(_, needs)| needs).filter_map(|need| match need {
            Need::Tool(name) | Need::Wanted(name) | Need::Test(name) => spec(name),
            Need::Space(_) | Need::Runs(_) => None,
        });
        let mut specs: Vec<_> = named.filter(|spec| seen.insert(spec.name)).collect();
        specs.sort_by_key(|spec| spec.name);
        let programs = specs.into_iter().map(|spec| examine_one(run, spec, &needs)).collect();
        groups.push(Group::new(command.name.clone(), programs, command.counts));
    }
    if all {
        let rest = programs().filter(|spec| !seen.contains(spec.name));
        let rest = rest.map(|spec| examine_one(run, spec, &[])).collect();
        groups.push(Group::new("no command".to_owned(), rest, false));
    }
    groups.retain(|group| !group.programs.is_empty());
    Examination { groups }
}

fn examine_one(run: &Run, spec: &'static Spec, needs: &[(&'static str, Vec<Need>)]) -> Program {
    let kinds = [Need::Tool(spec.name), Need::Wanted(spec.name), Need::Test(spec.name)];
    let uses = |need: &Need| kinds.contains(need);
    let used_by = needs.iter().filter(|(_, needs)| needs.iter().any(uses)).map(|it| it.0);
    let oldest = spec.oldest_version();
    Program {
        name: spec.label(),
        purpose: spec.purpose,
        found: run.tools.version(spec.name),
        path: run.tools.find(spec.name).map(|path| path.display().to_string()),
        wanted: if spec.oldest.is_empty() { oldest } else { format!(">= {oldest}") },
        required: needs.iter().any(|(_, needs)| needs.contains(&Need::Tool(spec.name))),
        used_by: used_by.collect(),
        fix: run.tools.check(spec.name).err().map(|missing| missing.fix),
    }
}

impl Group {
    fn new(command: String, mut programs: Vec<Program>, counts: bool) -> Self {
        programs.sort_by_key(|it| (it.fix.is_none(), it.fix.is_some() && !it.required));
        Self { command, programs, counts }
    }

    fn missing_programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.iter().filter(|it| it.fix.is_some())
    }

    /// Whether `doctor` fails because of this group.
    fn is_bad(&self) -> bool {
        self.counts && self.missing_programs().any(|it| it.required)
    }
}

impl Program {
    /// Installed version, else `yes` (found), `unknown` or `-` (missing).
    fn state(&self) -> &str {
        match (&self.found, &self.path) {
            (Some(version), _) => version,
            (None, Some(_)) if self.wanted.is_empty() => "yes",
            (None, Some(_)) => "unknown",
            (None, None) => "-",
        }
    }

    /// Line of the table.
    fn line(&self) -> String {
        let optional = if self.required { "" } else { " (optional)" };
        let used_by = self.used_by.join(", ");
        let line = format!(
            "  {:19} {:10} {:10} {used_by}{optional}\n",
            self.name,
            self.state(),
            self.wanted
        );
        match &self.fix {
            Some(fix) => format!("{line}  {:19} fix: {fix}\n", ""),
            None => line,
        }
    }
}

impl Examination {
    /// Text form: missing programs, with `all` all programs.
    pub(crate) fn text(&self, all: bool) -> String {
        let mut out = String::new();
        for group in &self.groups {
            let missing = group.missing_programs().count();
            let state = match missing {
                0 => format!("{} found", count(group.programs.len(), "program")),
                some => format!("{some} of {} missing", count(group.programs.len(), "program")),
            };
            out.push_str(&format!("{}: {state}\n", group.command));
            for program in group.programs.iter().filter(|it| all || it.fix.is_some()) {
                out.push_str(&program.line());
            }
            let found: Vec<_> = group.programs.iter().filter(|it| it.fix.is_none()).collect();
            if !all && !found.is_empty() {
                let name = |program: &&Program| match &program.found {
                    Some(version) => format!("{} {version}", program.name),
                    None => program.name.to_owned(),
                };
                let names: Vec<_> = found.iter().map(name).collect();
                out.push_str(&format!("  found: {}\n", names.join(", ")));
            }
            out.push('\n');
        }
        let missing = self.groups.iter().any(|group| group.missing_programs().next().is_some());
        out.push_str(match (self.exit_code(), missing) {
            (0, false) => "Nothing is missing.\n",
            (0, true) => "Only optional programs are missing; fix: cargo xtask setup\n",
            _ => "Programs are missing; fix: cargo xtask setup\n",
        });
        out
    }

    /// Exit code: 0 when all programs required by `validate` and `release` are installed, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(self.groups.iter().any(Group::is_bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &'static str, required: bool, found: Option<&str>) -> Program {
        Program {
            name,
            purpose: "",
            found: found.map(str::to_owned),
            path: found.map(|_| format!("/usr/bin/{name}")),
            wanted: ">= 1".to_owned(),
            required,
            used_by: vec!["lint"],
            fix: found.is_none().then(|| format!("apt-get install {name}")),
        }
    }

    fn examination() -> Examination {
        let validate = vec![
            program("cargo", true, Some("1.95.0")),
            program("python3", false, None),
            program("shellcheck", true, None),
        ];
        let smoke = vec![program("qemu", true, None)];
        Examination {
            groups: vec![
                Group::new("validate".to_owned(), validate, true),
                Group::new("smoke iso".to_owned(), smoke, false),
            ],
        }
    }

    #[test]
    fn missing_programs_come_first_with_their_fix() {
        insta::assert_snapshot!(examination().text(false), @r"
        validate: 2 of 3 programs missing
          shellcheck          -          >= 1       lint
                              fix: apt-get install shellcheck
          python3             -          >= 1       lint (optional)
                              fix: apt-get install python3
          found: cargo 1.95.0

        smoke iso: 1 of 1 program missing
          qemu                -          >= 1       lint
                              fix: apt-get install qemu

        Programs are missing; fix: cargo xtask setup
        ");
        assert!(examination().text(true).contains("  cargo               1.95.0     >= 1"));
    }

    #[test]
    fn what_only_smoke_tests_need_is_no_failure() {
        let mut examination = examination();
        assert_eq!(examination.exit_code(), 1);
        examination.groups.remove(0);
        assert_eq!(examination.exit_code(), 0);
        assert!(examination.text(false).ends_with("missing; fix: cargo xtask setup\n"));
    }
}
