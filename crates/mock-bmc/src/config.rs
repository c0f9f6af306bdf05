// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a mock BMC is: its vendor, host, user and TLS.

use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

use crate::machine::Behaviour;
use crate::personality::Personality;

/// Configuration of one mock BMC.
#[derive(Clone)]
pub struct Config {
    /// The vendor.
    pub personality: &'static Personality,
    /// How its machine behaves.
    pub behaviour: Behaviour,
    /// The serial number of its machine.
    pub serial: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// TLS, if it is to be https.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Config {
    /// A machine of this serial number, with a user `admin` whose password is `password`.
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
