// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary verify`: the report of the library `verify`, and its exit code.

use std::process::ExitCode;

use anyhow::{Result, bail};
use verify::Policy;

use crate::cli::VerifyArgs;
use crate::key;

pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let key = key::public(&args.key)?;
    let policy = Policy { builder: args.builder.clone() };
    let report = match (&args.from.release, &args.from.registry) {
        (Some(folder), _) => verify::folder(folder, &key, &policy)?,
        (None, Some(published)) => verify::registry(published, &key, &policy)?,
        (None, None) => bail!("give --release DIR or --registry HOST/PREFIX:VERSION"),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.is_verified() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
