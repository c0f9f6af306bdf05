// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! cloud-init's network configuration, version 2 ("Networking config Version 2" of its reference).

use serde_json::{Map, Value, json};

use super::{Mac, Network, PciPath, Port};

/// A port without a known MAC address: this format can't match by PCI address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no network port at {0}")]
pub struct UnknownPort(pub PciPath);

impl Network {
    /// The file `network-config` for cloud-init, as JSON, which is YAML too. `resolve` returns the
    /// MAC address of the port at a place on the PCI bus.
    ///
    /// # Errors
    /// When `resolve` does not know a port.
    pub fn cloud_init(
        &self,
        resolve: impl Fn(&PciPath) -> Option<Mac>,
    ) -> Result<String, UnknownPort> {
        let mut ethernets = Map::new();
        for (index, port) in self.ports.iter().enumerate() {
            let mac = match port {
                Port::Mac(mac) => *mac,
                Port::Path(path) => resolve(path).ok_or_else(|| UnknownPort(path.clone()))?,
            };
            let name = format!("net{index}");
            // Renderers that can't match by MAC address need the future name of the port.
            let mut port = json!({ "match": { "macaddress": mac.to_string() }, "set-name": name });
            self.add_mtu(&mut port);
            ethernets.insert(name, port);
        }
        let names: Vec<String> = ethernets.keys().cloned().collect();
        let mut config = json!({ "version": 2, "ethernets": ethernets });
        let mut top = ("ethernets", names.first().cloned().unwrap_or_default());
        if let Some(mode) = self.bond {
            let parameters = json!({ "mode": mode.as_str(), "mii-monitor-interval": 100 });
            let mut bond = json!({ "interfaces": names, "parameters": parameters });
            self.add_mtu(&mut bond);
            top = ("bonds", "bond0".to_owned());
            config["bonds"] = json!({ "bond0": bond });
        }
        if let Some(id) = self.vlan {
            let name = format!("vlan{id}");
            let mut vlan = json!({ "id": id, "link": top.1 });
            self.add_mtu(&mut vlan);
            top = ("vlans", name.clone());
            config["vlans"] = json!({ name: vlan });
        }
        let (kind, name) = top;
        self.add_addresses(&mut config[kind][name]);
        let mut text = format!("{config:#}");
        text.push('\n');
        Ok(text)
    }

    /// The file `vendor-data` for cloud-init with the time servers, if the network has any: a network
    /// configuration has no place for them.
    pub fn vendor_data(&self) -> Option<String> {
        let ntp = json!({ "ntp": { "enabled": true, "servers": self.ntp } });
        (!self.ntp.is_empty()).then(|| format!("#cloud-config\n{ntp}\n"))
    }

    fn add_mtu(&self, interface: &mut Value) {
        if let Some(mtu) = self.mtu {
            interface["mtu"] = json!(mtu);
        }
    }

    fn add_addresses(&self, interface: &mut Value) {
        let is_dhcp = self.addresses.is_empty();
        interface["dhcp4"] = json!(is_dhcp);
        interface["dhcp6"] = json!(is_dhcp);
        if !is_dhcp {
            let addresses = self.addresses.iter().map(ToString::to_string);
            interface["addresses"] = addresses.collect();
            interface["accept-ra"] = json!(false);
        }
        // Netplan prefers `routes`, and cloud-init 22.4 reads the `::/0` of one as `::/64`.
        for gateway in &self.gateways {
            let key = if gateway.is_ipv4() { "gateway4" } else { "gateway6" };
            interface[key] = json!(gateway.to_string());
        }
        let mut nameservers = Map::new();
        if !self.dns.is_empty() {
            let servers: Value = self.dns.iter().map(ToString::to_string).collect();
            nameservers.insert("addresses".to_owned(), servers);
        }
        if !self.search.is_empty() {
            nameservers.insert("search".to_owned(), json!(self.search));
        }
        if !nameservers.is_empty() {
            interface["nameservers"] = nameservers.into();
        }
    }
}
