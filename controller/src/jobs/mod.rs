// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Provisioning jobs: boot a host into the maintenance OS to execute a recipe.
//!
//! [`store`] persists jobs, [`runner`] holds their leases, `worker` executes them, and [`bmc`] has
//! the BMC operations. States are queued → provisioning → succeeded or failed → complete. A change
//! of state and its event are one transaction, which is committed before any action that depends on
//! it, so that another controller can take over the job.

pub mod bmc;
pub mod clock;
pub mod model;
pub mod published;
mod redacting;
pub mod redfish;
pub mod report_secret;
pub mod runner;
mod settings;
pub mod store;
pub mod task;
mod worker;
