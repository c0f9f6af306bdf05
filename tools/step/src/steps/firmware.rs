// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `firmware`: downloads and verifies a firmware image, then runs the vendor's tool.
//!
//! The tool's interface is described in `docs/reference/steps.md`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::action::Action;
use crate::download::Download;
use crate::plan::Plan;
use crate::program::Program;
use crate::task::Task;

/// Options of the step.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Vendor's tool; its only argument is the firmware file
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/libexec/vendor-firmware")]
    tool: PathBuf,
}

/// Plans download and update.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let env = &task.provision.env;
    let url = env.firmware_url.as_ref().context("the recipe has no firmware_url")?;
    let sha256 = env.firmware_sha256.as_ref().map(ToString::to_string);
    ensure!(
        sha256.is_some() || url.scheme().eq_ignore_ascii_case("https"),
        "the recipe has no firmware_sha256, and {} proves nothing about where it comes from: \
         add the digest, or use https",
        url.redact()
    );
    let path = task.work.join("firmware.bin");
    let file = path.display().to_string();
    let serial = env.serial.as_ref().map_or("", |serial| serial.as_str());
    let tool = Program::new(&options.tool.display().to_string(), [&file])
        .with_env("PROVISIONER_SERIAL", serial)
        .with_env("PROVISIONER_FIRMWARE_NAME", name(&url.redact()));
    Ok(Plan {
        step: "firmware",
        actions: vec![
            Action::Download { download: Download { url: url.clone(), sha256 }, path },
            Action::run(tool),
        ],
    })
}

/// The last segment of a URL's path; vendor tools may depend on the file name.
fn name(url: &str) -> &str {
    url.split('/').next_back().unwrap_or_default()
}
