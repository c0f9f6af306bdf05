// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A BMC to test against: Redfish as vendors do it, with the faults that vendors have.
//!
//! What a vendor does is a [`Personality`], as data. What goes wrong in one test is a [`Fault`].
//! The machine behind the BMC has power, a boot source and drives; each of its boots is a
//! [`Boot`], which tells what a real machine would have started from.
//!
//! For tests alone: it checks a password and keeps no secret.
#![forbid(unsafe_code)]

mod answer;
mod config;
mod fault;
mod host;
mod machine;
mod personality;
mod resources;
mod server;
mod service;
mod session;

pub use config::Config;
pub use fault::{Fault, Rule};
pub use host::Host;
pub use machine::{Behaviour, Boot, Graceful, Source};
pub use personality::{
    Encoding, Etags, MediaAt, MediaBy, PERSONALITIES, Personality, SlotKind, named,
};
pub use server::Mock;
