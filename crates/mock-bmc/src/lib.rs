// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A mock BMC: Redfish with the behaviour and the faults of vendors.
//!
//! The behaviour of a vendor is a [`Personality`], as data. A failure in one test is a [`Fault`].
//! [`random()`] combines both by a seed.
//! The host behind the BMC has power, a boot source and drives; each boot is a [`Boot`] with its
//! source.
//!
//! For tests only: it checks a password and protects no secret.
#![forbid(unsafe_code)]

mod answer;
mod config;
mod fault;
mod hardware;
mod host;
mod machine;
mod paths;
mod personality;
mod random;
mod resources;
mod server;
mod service;
mod session;

pub use config::Config;
pub use fault::{Fault, Rule};
pub use host::Host;
pub use machine::{Behaviour, Boot, Graceful, Source};
pub use personality::{
    Encoding, Etags, MediaLocation, MediaMethod, PERSONALITIES, Personality, SlotKind,
    find_personality,
};
pub use random::random;
pub use server::Mock;
