// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: links, commands and words of the documentation are right, and its book can be built.

mod book;
mod commands;
mod links;
mod spelling;
mod timeline;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Command};
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog, allowed};
use foundation::finding::Finding;
use foundation::source;
use programs::mdbook;
use rules::markdown::{self, Page};

/// `cargo xtask docs`.
pub struct Docs;

#[derive(Default, Args)]
struct DocsArguments {
    /// Report suggestions of the style, too
    #[arg(long)]
    suggestions: bool,
}

impl Step for Docs {
    fn describe(&self) -> Description {
        Description::gate("docs", "check links, commands, terms and spelling of pages and comments")
            .example("--suggestions")
            .arguments(&[Argument::Fix])
    }

    fn own_arguments(&self, command: Command) -> Command {
        DocsArguments::augment_args(command)
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let typos = spelling::is_configured(run).then_some(spelling::TYPOS);
        let book = run.workspace.product().gates.docs.book.as_ref().map(|_| mdbook::MDBOOK);
        typos.into_iter().chain(book).map(Need::Tool).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .native("check all links of all pages, and the help of all commands")
            .reads(Input::Source(PathBuf::new()));
        let plan = match &run.workspace.product().gates.docs.style {
            Some(style) => {
                plan.native(format!("find words that the style {} replaces", style.display()))
            }
            None => plan,
        };
        let typos = spelling::is_configured(run).then(|| spelling::command(run));
        let book = run.workspace.product().gates.docs.book.as_ref();
        let book = book.map(|folder| mdbook::build(run, folder, book::BOOK));
        let plan = typos.into_iter().chain(book).fold(plan, Plan::command);
        Ok(self.needs(run).into_iter().fold(plan, |plan, need| match need {
            Need::Tool(name) => plan.reads(Input::Tool(name)),
            _ => plan,
        }))
    }

    fn fix(&self, run: &Run, _log: &StepLog) -> Result<()> {
        let record = run.workspace.product().gates.docs.timeline.as_deref();
        record.map_or(Ok(()), |record| timeline::write(run, record))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let root = run.workspace.root();
        let files = run.workspace.texts(|path| source::has_extension(path, "md"))?;
        let pages: BTreeMap<&str, Page> =
            files.iter().map(|file| (file.path.as_str(), markdown::read(&file.text))).collect();
        let mut findings: Vec<Finding> =
            pages.iter().flat_map(|(path, page)| links::check(root, path, page, &pages)).collect();
        findings.extend(commands::check_xtask(run, log, &pages)?);
        let helps = commands::read_recorded(run)?;
        findings.extend(commands::check_recorded(&helps, &pages));
        findings
            .extend(words::check(run, run.options.step_arguments::<DocsArguments>().suggestions)?);
        if spelling::is_configured(run) {
            findings.extend(spelling::check(run, log)?);
        }
        let gate = &run.workspace.product().gates.docs;
        if let Some(page) = &gate.commands {
            findings.extend(commands::check_reference(run, page)?);
        }
        if let Some(record) = &gate.timeline {
            findings.extend(timeline::check(run, record)?);
        }
        if let Some(folder) = &gate.book {
            findings.extend(book::check(run, log, folder, &pages)?);
        }
        Ok(allowed::judge("docs", &findings, &gate.allow, format!("{} pages", pages.len())))
    }
}
