// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses and validates a network from JSON. Every fault is reported with its path and the expected
//! form.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use super::{BondMode, Cidr, Mac, Network, PciPath, Port};
use crate::fault::Fault;

/// Maximum ports of a bond.
const MAX_PORTS: usize = 8;
/// Maximum entries of each list.
const MAX_ADDRESSES: usize = 16;
const MAX_SERVERS: usize = 8;
/// VLAN ids that are not reserved (IEEE 802.1Q, table 9-2).
const VLANS: std::ops::RangeInclusive<u32> = 1..=4094;
/// Valid MTUs: from the minimum of IPv4 hosts (RFC 791) to the maximum of common switches.
const MTUS: std::ops::RangeInclusive<u32> = 576..=9216;
/// Minimum MTU of a link with IPv6 (RFC 8200, section 5).
const MIN_MTU_IPV6: u32 = 1280;

/// The JSON form of a [`Network`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkText {
    /// The port, or the ports of the bond.
    pub ports: Vec<PortText>,
    /// `active-backup` or `802.3ad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bond: Option<String>,
    /// VLAN id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u32>,
    /// MTU in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Addresses with prefix length; empty for DHCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Default routes, at most one of each address family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Addresses of name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Search domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Names or addresses of time servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<String>,
}

/// The JSON form of a [`Port`]: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortText {
    /// `00:53:00:12:34:56`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// `pci-0000:03:00.0`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Reason why a network was rejected.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// More than [`MAX_NETWORK_BYTES`](super::MAX_NETWORK_BYTES).
    #[error("more than {} bytes", super::MAX_NETWORK_BYTES)]
    TooLarge,
    /// Not JSON, or an unexpected structure.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    /// Invalid or inconsistent values.
    #[error("{}", join(.0))]
    Invalid(Vec<Fault>),
}

impl NetworkError {
    /// The faults, with JSON pointers below `pointer`.
    pub fn into_faults(self, pointer: &str) -> Vec<Fault> {
        match self {
            Self::Invalid(faults) => faults
                .into_iter()
                .map(|fault| {
                    Fault::new(format!("{pointer}{}", fault.path), fault.code, fault.message)
                })
                .collect(),
            error => vec![Fault::new(pointer, "format", error.to_string())],
        }
    }
}

fn join(faults: &[Fault]) -> String {
    let texts: Vec<String> = faults
        .iter()
        .map(|Fault { path, code: _, message }| {
            let place = if path.is_empty() { "the network" } else { path };
            format!("{place} {message}")
        })
        .collect();
    texts.join("; ")
}

impl TryFrom<NetworkText> for Network {
    type Error = NetworkError;

    fn try_from(text: NetworkText) -> Result<Self, NetworkError> {
        let mut faults = Faults::default();
        let network = faults.network(text);
        if faults.0.is_empty() { Ok(network) } else { Err(NetworkError::Invalid(faults.0)) }
    }
}

impl From<Network> for NetworkText {
    fn from(network: Network) -> Self {
        let Network { ports, bond, vlan, mtu, addresses, gateways, dns, search, ntp } = network;
        let texts = |list: Vec<IpAddr>| list.iter().map(IpAddr::to_string).collect();
        Self {
            ports: ports.iter().map(PortText::from).collect(),
            bond: bond.map(|mode| mode.as_str().to_owned()),
            vlan: vlan.map(u32::from),
            mtu: mtu.map(u32::from),
            addresses: addresses.iter().map(Cidr::to_string).collect(),
            gateways: texts(gateways),
            dns: texts(dns),
            search,
            ntp,
        }
    }
}

impl From<&Port> for PortText {
    fn from(port: &Port) -> Self {
        match port {
            Port::Mac(mac) => Self { mac: Some(mac.to_string()), path: None },
            Port::Path(path) => Self { mac: None, path: Some(path.to_string()) },
        }
    }
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Fault::new(path, code, message.into()));
    }

    fn network(&mut self, text: NetworkText) -> Network {
        let NetworkText { ports, bond, vlan, mtu, addresses, gateways, dns, search, ntp } = text;
        let bond = bond.and_then(|name| {
            let mode = BondMode::ALL.into_iter().find(|mode| mode.as_str() == name);
            if mode.is_none() {
                self.add("/bond", "enum", "must be active-backup or 802.3ad");
            }
            mode.or(Some(BondMode::ActiveBackup))
        });
        let ports = self.ports(&ports, bond.is_some());
        let addresses = self.addresses(&addresses);
        let gateways = self.gateways(&gateways, &addresses);
        let has_ipv6 = addresses.iter().any(|one| one.address.is_ipv6());
        Network {
            ports,
            bond,
            vlan: self.number("/vlan", vlan, VLANS),
            mtu: self.mtu(mtu, has_ipv6),
            gateways,
            dns: self.list("/dns", &dns, "an IP address", |text| server(text.parse().ok()?)),
            search: self.list("/search", &search, "a domain such as example.com", domain),
            ntp: self.list("/ntp", &ntp, "a host name or an IP address", |text| {
                text.parse()
                    .ok()
                    .and_then(server)
                    .map_or_else(|| domain(text), |ip| Some(ip.to_string()))
            }),
            addresses,
        }
    }

    fn ports(&mut self, texts: &[PortText], is_bond: bool) -> Vec<Port> {
        match (texts.len(), is_bond) {
            (0, _) => self.add("/ports", "minItems", "must name the port of the host"),
            (1, _) => {}
            (_, false) => {
                self.add("/ports", "maxItems", "must be one port; several need bond");
            }
            (count, true) if count > MAX_PORTS => {
                self.add("/ports", "maxItems", format!("must have at most {MAX_PORTS} ports"));
            }
            (_, true) => {}
        }
        let mut seen = HashSet::new();
        let mut ports = Vec::new();
        for (index, text) in texts.iter().take(MAX_PORTS).enumerate() {
            let at = format!("/ports/{index}");
            let port = match (&text.mac, &text.path) {
                (Some(mac), None) => match self::mac(mac) {
                    Ok(mac) => Port::Mac(mac),
                    Err(form) => {
                        self.add(format!("{at}/mac"), "format", format!("must be {form}"));
                        continue;
                    }
                },
                (None, Some(path)) => {
                    let Some(path) = parse_path(path) else {
                        let message = "must be a place on the PCI bus such as pci-0000:03:00.0 (udev's ID_PATH)";
                        self.add(format!("{at}/path"), "format", message);
                        continue;
                    };
                    Port::Path(path)
                }
                _ => {
                    self.add(at, "oneOf", "must have either mac or path");
                    continue;
                }
            };
            if !seen.insert(port.clone()) {
                self.add(at, "duplicate", "is the same port as an earlier one");
            }
            ports.push(port);
        }
        ports
    }

    fn addresses(&mut self, texts: &[String]) -> Vec<Cidr> {
        let mut seen = HashSet::new();
        self.list("/addresses", texts, "an address with prefix such as 192.0.2.10/24", |text| {
            let (address, prefix) = text.split_once('/')?;
            let address = server(address.parse().ok()?)?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let is_plain = prefix.bytes().all(|b| b.is_ascii_digit());
            let prefix = prefix.parse().ok().filter(|n| is_plain && (1..=bits).contains(n))?;
            Some(Cidr { address, prefix })
        })
        .into_iter()
        .enumerate()
        .filter_map(|(index, one)| {
            let at = format!("/addresses/{index}");
            if !seen.insert(one.address) {
                self.add(at, "duplicate", "is the same address as an earlier one");
            } else if let Some(what) = describe_reserved(one) {
                self.add(at, "format", format!("must be the address of a host, and is the {what}"));
            } else {
                return Some(one);
            }
            None
        })
        .collect()
    }

    fn gateways(&mut self, texts: &[String], addresses: &[Cidr]) -> Vec<IpAddr> {
        let form = "the address of a router";
        let gateways: Vec<IpAddr> =
            self.list("/gateways", texts, form, |text| server(text.parse().ok()?));
        for (index, gateway) in gateways.iter().enumerate() {
            let at = format!("/gateways/{index}");
            let is_link_local = matches!(gateway, IpAddr::V6(ip) if ip.is_unicast_link_local());
            let has_family = addresses.iter().any(|one| one.address.is_ipv4() == gateway.is_ipv4());
            if gateways.iter().take(index).any(|other| other.is_ipv4() == gateway.is_ipv4()) {
                self.add(at, "duplicate", "is a second gateway of its family");
            } else if addresses.iter().any(|one| one.address == *gateway) {
                self.add(at, "duplicate", "is an address of the host itself");
            } else if !has_family
                || (!is_link_local && !addresses.iter().any(|one| one.contains(*gateway)))
            {
                self.add(at, "prefix", "must be in the prefix of one of the addresses");
            }
        }
        gateways
    }

    fn mtu(&mut self, mtu: Option<u32>, has_ipv6: bool) -> Option<u16> {
        if has_ipv6 && mtu.is_some_and(|mtu| MTUS.contains(&mtu) && mtu < MIN_MTU_IPV6) {
            let message = format!("must be at least {MIN_MTU_IPV6} with an IPv6 address");
            self.add("/mtu", "minimum", message);
        }
        self.number("/mtu", mtu, MTUS)
    }

    fn number(
        &mut self,
        path: &str,
        value: Option<u32>,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u16> {
        let value = value?;
        let Some(number) = u16::try_from(value).ok().filter(|_| range.contains(&value)) else {
            let message = format!("must be from {} to {}", range.start(), range.end());
            self.add(path, "range", message);
            return None;
        };
        Some(number)
    }

    /// Parses each of `texts` with `read`; a failure is a fault that states `form`.
    fn list<T>(
        &mut self,
        path: &str,
        texts: &[String],
        form: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let most = if path == "/addresses" { MAX_ADDRESSES } else { MAX_SERVERS };
        if texts.len() > most {
            self.add(path, "maxItems", format!("must have at most {most} entries"));
            return Vec::new();
        }
        let mut values = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match read(text) {
                Some(value) => values.push(value),
                None => {
                    self.add(format!("{path}/{index}"), "format", format!("must be {form}"));
                }
            }
        }
        values
    }
}

/// Parses an address that a host can have.
fn server(address: IpAddr) -> Option<IpAddr> {
    let is_mapped = matches!(address, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    let is_host = !address.is_unspecified() && !address.is_multicast() && !is_mapped;
    (is_host && address != IpAddr::from([255; 4])).then_some(address)
}

/// Description of a network's special address; `None` for a host address.
fn describe_reserved(one: Cidr) -> Option<&'static str> {
    match one.address {
        ip if ip.is_loopback() => Some("loopback address"),
        // Networks of two addresses have neither (RFC 3021).
        IpAddr::V4(ip) if one.prefix < 31 => {
            let host = u32::MAX >> one.prefix;
            match ip.to_bits() & host {
                0 => Some("address of the network"),
                bits if bits == host => Some("broadcast address"),
                _ => None,
            }
        }
        // The routers' anycast address (RFC 4291, section 2.6.1).
        IpAddr::V6(ip) if one.prefix < 127 && ip.to_bits() & (u128::MAX >> one.prefix) == 0 => {
            Some("anycast address of the routers")
        }
        IpAddr::V6(Ipv6Addr { .. }) | IpAddr::V4(_) => None,
    }
}

/// Parses a MAC address; the error is the expected form.
pub(super) fn mac(text: &str) -> Result<Mac, &'static str> {
    let form = "a MAC address such as 00:53:00:12:34:56";
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2).ok_or(form)?;
        let is_hex = part.bytes().all(|b| b.is_ascii_hexdigit());
        *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_hex).ok_or(form)?;
    }
    if parts.next().is_some() {
        return Err(form);
    }
    // The first bit on the wire marks a group address (IEEE 802, section 8.2).
    if bytes == [0; 6] || bytes[0] & 1 == 1 {
        return Err("the MAC address of one port; this is of a group, or zero");
    }
    Ok(Mac(bytes))
}

fn parse_path(text: &str) -> Option<PciPath> {
    let text = text.to_ascii_lowercase();
    let (bus, function) = text.strip_prefix("pci-")?.rsplit_once('.')?;
    let mut parts = bus.split(':');
    let mut hex = |digits: std::ops::RangeInclusive<usize>| {
        let part = parts.next()?;
        (digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())).then_some(())
    };
    // Domains of virtual buses have more than four digits.
    hex(4..=8)?;
    hex(2..=2)?;
    hex(2..=2)?;
    let is_end = parts.next().is_none() && matches!(function.as_bytes(), [b'0'..=b'7']);
    is_end.then_some(PciPath(text))
}

/// Parses a host or domain name (RFC 1123, section 2.1), in lower case.
fn domain(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // A name that looks like an address is probably a typo.
    let is_number =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let is_name = text.len() <= 253 && text.split('.').all(is_label) && !is_number;
    is_name.then(|| text.to_ascii_lowercase())
}
