// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Settings of jobs: time budgets, pauses and retention.

use std::sync::Arc;
use std::time::Duration;

use recipe::signature::SigningKey;

use super::model::Phase;

/// Settings of jobs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Maximum number of concurrent jobs.
    pub at_once: usize,
    /// Lifetime of a lease without renewal.
    pub lease: Duration,
    /// Budget from the first step to the reset.
    pub boot_budget: Duration,
    /// Budget for the host's report.
    pub webhook_budget: Duration,
    /// Same, for firmware updates.
    pub firmware_budget: Duration,
    /// Budget of clean-up.
    pub cleanup_budget: Duration,
    /// Whether to reset the host after a successful job.
    pub restart: bool,
    /// What happens to a host that reported a failure.
    pub after_failure: AfterFailure,
    /// Pause before the first retry; it doubles up to sixty times the value.
    pub retry_pause: Duration,
    /// Retention of task ISOs after the end of their job.
    pub keep_isos: Duration,
    /// Retention of complete jobs.
    pub keep_jobs: Duration,
    /// Validity of a signed task, from the job's creation: a task ISO is rebuilt after a restart
    /// and must then be identical.
    pub task_validity: Duration,
    /// Signing key for task ISOs.
    pub signing_key: Option<Arc<SigningKey>>,
}

/// Action for a host that reported a failure. Its log is stored as an event of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Power it off and eject the media.
    PowerOff,
    /// Leave it on with its media, for debugging.
    Leave,
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
            after_failure: AfterFailure::PowerOff,
            retry_pause: Duration::from_secs(1),
            keep_isos: Duration::from_hours(24),
            keep_jobs: Duration::from_hours(90 * 24),
            task_validity: Duration::from_hours(48),
            signing_key: None,
        }
    }
}

impl Settings {
    /// Returns the budget of a phase.
    pub fn budget(&self, phase: Phase, task_target: &str) -> Duration {
        match phase {
            Phase::Boot => self.boot_budget,
            Phase::Webhook if task_target == "firmware-update.target" => self.firmware_budget,
            Phase::Webhook => self.webhook_budget,
            Phase::Cleanup => self.cleanup_budget,
        }
    }
}
