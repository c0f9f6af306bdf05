// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs: from a recipe and a machine's serial number to a machine that runs what the recipe says.
//!
//! [`store`] keeps them, [`runner`] holds their leases, `worker` moves each on, and [`bmc`] is what a job asks of a machine. A job goes
//! queued → provisioning → succeeded or failed → complete. Each change of state is one transaction
//! with the event that tells of it, and each is written before what follows from it is done, so that
//! a controller that takes the job over knows where it stands.

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
