// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Configuration of a mock BMC: vendor, host, user and TLS.

use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

use crate::machine::Behaviour;
use crate::personality::Personality;

/// Configuration of one mock BMC.
#[derive(Clone)]
pub struct Config {
    /// The vendor.
    pub personality: &'static Personality,
    /// Timing of its host.
    pub behaviour: Behaviour,
    /// Serial number of its host.
    pub serial: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// TLS, for https.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Config {
    /// A host with this serial number, and the user `admin` with the password `password`.
    pub fn new(personality: &'static Personality, serial: &str) -> Self {
        Self {
            personality,
            behaviour: Behaviour::default(),
            serial: serial.to_owned(),
            user: "admin".to_owned(),
            password: "password".to_owned(),
            tls: None,
        }
    }
}
