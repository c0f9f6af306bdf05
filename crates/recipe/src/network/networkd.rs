// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files for systemd-networkd (systemd.network(5), systemd.netdev(5)).

use std::fmt;

use super::{Network, Port};

/// Name prefix of our files for configured interfaces.
const PREFIX: &str = "10-provisioner-";
/// Overrides the image's file that enables DHCP on every port.
const OTHERS: &str = "80-provisioner.network";

const BOND: &str = "bond0";
const VLAN: &str = "vlan0";

impl Network {
    /// Name and text of each file, sorted by name. Ports outside of the network stay unconfigured.
    pub fn units(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        // The network of the lowest interface: the addresses, or the interface on top of it.
        let vlan_or_addresses = match self.vlan {
            Some(_) => carries("VLAN", VLAN),
            None => self.addresses_section(),
        };
        for (index, port) in self.ports.iter().enumerate() {
            let (link, network) = match self.bond {
                Some(_) => (self.link_section(false), carries("Bond", BOND)),
                None => (self.link_section(self.vlan.is_none()), vlan_or_addresses.clone()),
            };
            let text = format!("{}\n{link}{network}", matches(port));
            files.push((format!("{PREFIX}port{index}.network"), text));
        }
        if let Some(mode) = self.bond {
            let mode = mode.as_str();
            let device = format!(
                "[NetDev]\nName={BOND}\nKind=bond\n\n[Bond]\nMode={mode}\nMIIMonitorSec=100ms\n"
            );
            files.push((format!("{PREFIX}{BOND}.netdev"), device));
            let link = self.link_section(self.vlan.is_none());
            let text = format!("[Match]\nName={BOND}\n\n{link}{vlan_or_addresses}");
            files.push((format!("{PREFIX}{BOND}.network"), text));
        }
        if let Some(id) = self.vlan {
            let device = format!("[NetDev]\nName={VLAN}\nKind=vlan\n\n[VLAN]\nId={id}\n");
            files.push((format!("{PREFIX}{VLAN}.netdev"), device));
            let (link, addresses) = (self.link_section(true), self.addresses_section());
            let text = format!("[Match]\nName={VLAN}\n\n{link}{addresses}");
            files.push((format!("{PREFIX}{VLAN}.network"), text));
        }
        files
            .push((OTHERS.to_owned(), "[Match]\nType=ether\n\n[Link]\nUnmanaged=yes\n".to_owned()));
        files.sort();
        files
    }

    /// `[Link]`. Only the interface with the addresses is required for "online".
    fn link_section(&self, has_addresses: bool) -> String {
        let mtu = self.mtu.map(|mtu| format!("MTUBytes={mtu}\n")).unwrap_or_default();
        let online = if has_addresses { "" } else { "RequiredForOnline=no\n" };
        let text = format!("{mtu}{online}");
        if text.is_empty() { text } else { format!("[Link]\n{text}\n") }
    }

    fn addresses_section(&self) -> String {
        fn lines<T: fmt::Display>(key: &str, values: &[T]) -> String {
            values.iter().map(|value| format!("{key}={value}\n")).collect::<Vec<_>>().concat()
        }
        let dhcp = if self.addresses.is_empty() { "yes" } else { "no" };
        [
            format!("[Network]\nDHCP={dhcp}\nIPv6AcceptRA={dhcp}\nLinkLocalAddressing=ipv6\n"),
            lines("Address", &self.addresses),
            lines("Gateway", &self.gateways),
            lines("DNS", &self.dns),
            lines("Domains", &self.search),
            lines("NTP", &self.ntp),
        ]
        .concat()
    }

    /// Writes the files to `folder`, replacing those of an earlier run. World-readable, because
    /// networkd runs as its own user.
    #[cfg(feature = "write")]
    pub fn write_units(
        &self,
        folder: &std::path::Path,
    ) -> Result<(), crate::provision::ProvisionError> {
        use files::Mode;

        use crate::write::map_failure;

        std::fs::create_dir_all(folder).map_err(map_failure("create", folder))?;
        let units = self.units();
        for entry in std::fs::read_dir(folder).map_err(map_failure("read", folder))? {
            let path = entry.map_err(map_failure("read", folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_stale = name.starts_with(PREFIX) && !units.iter().any(|(unit, _)| *unit == name);
            if is_stale {
                files::remove(&path).map_err(map_failure("remove", &path))?;
            }
        }
        for (name, text) in units {
            let path = folder.join(name);
            files::write(&path, Mode::Exact(0o644), text.as_bytes())
                .map_err(map_failure("write", &path))?;
        }
        Ok(())
    }
}

/// `[Match]`: the permanent address excludes VLANs on top of the port.
fn matches(port: &Port) -> String {
    match port {
        Port::Mac(mac) => format!("[Match]\nType=ether\nPermanentMACAddress={mac}\n"),
        Port::Path(path) => format!("[Match]\nType=ether\nPath={path}\n"),
    }
}

/// `[Network]` of an interface that only carries another one.
fn carries(key: &str, name: &str) -> String {
    format!("[Network]\n{key}={name}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
}
