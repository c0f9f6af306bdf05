// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The network of a host without DHCP: one interface with static addresses, on a port, a bond or a
//! VLAN.
//!
//! The controller stores it per server, a task ISO has it as [`NETWORK_JSON`], and a recipe may
//! override it. [`Network::units`] converts it for the maintenance OS (systemd.network(5)),
//! [`Network::cloud_init`] for the installed system (cloud-init, network config version 2). Without
//! it, both use DHCP.

mod cloud_init;
mod networkd;
mod parse;

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text::FormError;

pub use cloud_init::UnknownPort;
pub use parse::{NetworkError, NetworkText, PortText};

/// Name of the file on the task ISO and in `/run/provision`.
pub const NETWORK_JSON: &str = "network.json";
/// Maximum size of the file in bytes.
pub const MAX_NETWORK_BYTES: usize = 16 * 1024;

/// The network of a host. All values are valid and consistent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NetworkText", into = "NetworkText")]
pub struct Network {
    /// One port, or those of the bond.
    ports: Vec<Port>,
    bond: Option<BondMode>,
    /// VLAN id (IEEE 802.1Q), 1 to 4094.
    vlan: Option<u16>,
    /// MTU in bytes.
    mtu: Option<u16>,
    /// Addresses; empty for DHCP on this interface.
    addresses: Vec<Cidr>,
    /// Default routes, at most one of each address family.
    gateways: Vec<IpAddr>,
    dns: Vec<IpAddr>,
    search: Vec<String>,
    ntp: Vec<String>,
}

/// A network port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// By its permanent MAC address.
    Mac(Mac),
    /// By its PCI address: udev's `ID_PATH`, such as `pci-0000:03:00.0`.
    Path(PciPath),
}

/// A MAC address of one port. Written in lower case with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac([u8; 6]);

/// `pci-DOMAIN:BUS:DEVICE.FUNCTION`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PciPath(String);

impl PciPath {
    /// The PCI address as in `/sys/bus/pci/devices`, such as `0000:03:00.0`.
    pub fn address(&self) -> &str {
        self.0.strip_prefix("pci-").unwrap_or(&self.0)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Mac {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        parse::mac(text).map_err(FormError)
    }
}

impl fmt::Display for PciPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bonding mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BondMode {
    /// Active-backup; the switch needs no configuration.
    ActiveBackup,
    /// LACP.
    Lacp,
}

impl BondMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::ActiveBackup, Self::Lacp];

    /// The kernel's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Lacp => "802.3ad",
        }
    }
}

/// An address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Returns true if `other` is in the same network.
    fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Parses [`NETWORK_JSON`].
    ///
    /// # Errors
    /// With every fault and its place.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, NetworkError> {
        if bytes.len() > MAX_NETWORK_BYTES {
            return Err(NetworkError::TooLarge);
        }
        let text: NetworkText = serde_json::from_slice(bytes)?;
        Self::try_from(text)
    }

    /// Serialises to [`NETWORK_JSON`].
    ///
    /// # Errors
    /// Never for a value of this type.
    pub fn to_json(&self) -> Result<Vec<u8>, NetworkError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// One-line summary: addresses or DHCP, then VLAN and bond.
    pub fn summary(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(Cidr::to_string).collect();
        let addresses = if addresses.is_empty() { "DHCP".to_owned() } else { addresses.join(", ") };
        let vlan = self.vlan.map(|id| format!(" on VLAN {id}")).unwrap_or_default();
        let ports = self.ports.len();
        let bond = self.bond.map(|bond| format!(" over a bond of {ports} ({})", bond.as_str()));
        format!("{addresses}{vlan}{}", bond.unwrap_or_default())
    }
}
