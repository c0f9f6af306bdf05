// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How jobs are run: budgets, pauses and what is kept.

use std::sync::Arc;
use std::time::Duration;

use recipe::signature::SigningKey;

use super::model::Phase;

/// How jobs are run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Jobs that are worked on at once.
    pub at_once: usize,
    /// How long a lease is good for without a heart-beat.
    pub lease: Duration,
    /// Budget from the first step to the reset.
    pub boot_budget: Duration,
    /// Budget for the machine's report.
    pub webhook_budget: Duration,
    /// The same, for updates of firmware.
    pub firmware_budget: Duration,
    /// Budget of clean-up.
    pub cleanup_budget: Duration,
    /// Whether the machine is reset at the end of a job that succeeded.
    pub restart: bool,
    /// Pause before a call is tried again; it doubles up to sixty times as much.
    pub retry_pause: Duration,
    /// Task ISOs stay for so long after their job.
    pub keep_isos: Duration,
    /// Jobs stay for so long after their end.
    pub keep_jobs: Duration,
    /// A signed task expires so long after its job was made. Task ISOs are built again after a restart
    /// and must then be the same, so it does not count from the time of the build.
    pub task_validity: Duration,
    /// Signs task ISOs.
    pub signing_key: Option<Arc<SigningKey>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            at_once: 1024,
            lease: Duration::from_secs(30),
            boot_budget: Duration::from_mins(20),
            webhook_budget: Duration::from_hours(2),
            firmware_budget: Duration::from_mins(30),
            cleanup_budget: Duration::from_mins(10),
            restart: true,
            retry_pause: Duration::from_secs(1),
            keep_isos: Duration::from_hours(24),
            keep_jobs: Duration::from_hours(90 * 24),
            task_validity: Duration::from_hours(48),
            signing_key: None,
        }
    }
}

impl Settings {
    /// The budget of a phase of a job.
    pub fn budget(&self, phase: Phase, task_target: &str) -> Duration {
        match phase {
            Phase::Boot => self.boot_budget,
            Phase::Webhook if task_target == "firmware-update.target" => self.firmware_budget,
            Phase::Webhook => self.webhook_budget,
            Phase::Cleanup => self.cleanup_budget,
        }
    }
}
