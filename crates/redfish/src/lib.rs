// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A thin Redfish client with what provisioning needs of a BMC.
//!
//! [`Bmc::connect`] finds the system, its manager and its virtual media, [`Bmc::connect_system`] the
//! system alone, for its power and its [`Inventory`]. Media are inserted, the
//! boot source is set for one boot, and the host is restarted. Every write is read back, because
//! BMCs answer 204 to what they do not do. Quirks of vendors are data in [`profile`], with their
//! sources.
//!
//! Nothing about a BMC is assumed but `/redfish/v1/` (DSP0266, section 6.4): every other path is
//! read from a resource.
#![forbid(unsafe_code)]

mod address;
mod bmc;
mod boot;
mod client;
mod decode;
mod discover;
mod error;
mod inventory;
mod media;
mod message;
mod power;
pub mod profile;
mod session;
mod slot;
mod timing;
mod tls;
mod transport;
mod update;

/// Entry points for the targets in `fuzz/`, for private parsers of untrusted bytes.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Decodes a body with this `Content-Encoding`, and reads its messages.
    pub fn answer(coding: &str, body: &[u8], limit: usize) {
        let mut headers = hyper::HeaderMap::new();
        if let Ok(value) = coding.parse() {
            headers.insert(hyper::header::CONTENT_ENCODING, value);
        }
        let body = bytes::Bytes::copy_from_slice(body);
        let Ok(text) = crate::decode::decode(&headers, body, limit) else { return };
        if let Ok(document) = serde_json::from_slice(&text) {
            drop(crate::message::detail(&document));
        }
    }
}

pub use address::Address;
pub use bmc::Bmc;
pub use client::{Endpoint, TaskEnd};
pub use error::{Error, Refusal};
pub use inventory::{Class, Component, Inventory};
pub use power::{Power, Restart, Shutdown, Snapshot};
pub use session::Credentials;
pub use slot::{Kind, Slot};
pub use timing::Timing;
pub use tls::TlsPolicy;
