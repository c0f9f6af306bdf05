// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Vendor quirks as data, each with its source.
//!
//! A quirk that an answer shows (a property that is required or refused, a slot without actions)
//! needs no profile: the client reacts to the answer of any BMC. A profile has only what cannot be
//! detected beforehand.

use serde_json::Value;

/// A vendor's BMC.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in configuration and in the API.
    pub name: &'static str,
    /// Its display name.
    pub title: &'static str,
    /// Lower-case prefixes of `Vendor` of the service root, of a key of its `Oem`, or of
    /// `Manufacturer` of the system.
    pub vendors: &'static [&'static str],
    /// Upper-case prefixes of the ids of usable slots; empty means all.
    pub slots: &'static [&'static str],
    /// Whether `InsertMedia` accepts `Inserted` and `WriteProtected`. Both default to true (schema
    /// `VirtualMedia` 1.2), so omitting them has the same meaning.
    pub accepts_inserted: bool,
    /// Names of the virtual CD as a boot source, best first; the first that the system allows is
    /// used.
    pub boot_targets: &'static [&'static str],
    /// Whether `BootSourceOverrideMode` is writable together with the target.
    pub accepts_boot_mode: bool,
    /// Texts in an error that mean "not now" for the BMC or the host.
    pub busy: &'static [&'static str],
    /// Sources of all of this.
    pub sources: &'static [&'static str],
}

impl Profile {
    /// Whether the slot with this id is usable.
    pub(crate) fn can_use_slot(&self, id: &str) -> bool {
        let id = id.to_uppercase();
        self.slots.is_empty() || self.slots.iter().any(|begin| id.starts_with(begin))
    }
}

/// A BMC that follows the standard.
pub const GENERIC: &Profile = &Profile {
    name: "generic",
    title: "generic",
    vendors: &[],
    slots: &[],
    accepts_inserted: true,
    boot_targets: &["Cd"],
    accepts_boot_mode: true,
    busy: &["ServiceTemporarilyUnavailable", "ServiceInUnknownState", "ResourceInUse"],
    sources: &[
        "DMTF DSP0266 1.20, DSP8010 (VirtualMedia 1.2, ComputerSystem 1.13), DSP8011 (Base)",
    ],
};

/// All vendors.
pub const PROFILES: &[&Profile] = &[
    &Profile {
        name: "idrac",
        title: "Dell iDRAC",
        vendors: &["dell"],
        // Not ready after the last operation; remote services not ready; media still detached.
        busy: &["SYS518", "RAC0508", "VRM0021"],
        sources: &[
            "openstack/sushy connector.py (SYS518)",
            "microsoft/lisa pull 4421 (RAC0508), pull 4168 (VRM0021)",
            "dell/iDRAC-Redfish-Scripting issue 290 (two media at once refused under Managers)",
        ],
        ..*GENERIC
    },
    &Profile {
        name: "ilo",
        title: "HPE iLO",
        vendors: &["hpe", "hp"],
        accepts_boot_mode: false,
        busy: &["UnableToModifyDuringSystemPOST", "InvalidOperationForSystemState"],
        sources: &[
            "ironcore-dev/metal-operator issue 997 (400 while in POST)",
            "openstack/sushy connector.py (InvalidOperationForSystemState)",
            "ansible-collections/community.general issue 3509 (BootSourceOverrideMode read-only)",
        ],
        ..*GENERIC
    },
    &Profile {
        name: "xcc",
        title: "Lenovo XCC",
        vendors: &["lenovo"],
        // RDOC has uploaded images, Remote those of a console; only EXT takes URLs.
        slots: &["EXT"],
        busy: &[],
        sources: &[
            "lenovo/python-redfish-lenovo issue 21 (ten slots, of which EXT takes URLs, by PATCH)",
            "openstack/sushy virtual_media.py (PATCH needs Inserted)",
        ],
        ..*GENERIC
    },
    &Profile {
        name: "supermicro",
        title: "Supermicro",
        vendors: &["supermicro", "super micro"],
        accepts_inserted: false,
        boot_targets: &["UsbCd", "Cd"],
        busy: &[],
        sources: &[
            "openstack/sushy virtual_media.py (X11, X12 refuse Inserted and WriteProtected)",
            "openstack/sushy system.py (X11, X12 boot a virtual CD as UsbCd alone)",
        ],
        ..*GENERIC
    },
    &Profile {
        name: "sushy-tools",
        title: "sushy-tools' emulator",
        vendors: &["sushy emulator"],
        // The slot Floppy is on an ISA bus, where current systems do not look.
        slots: &["CD"],
        busy: &[],
        sources: &["sushy-tools 2.2.0, libvirtdriver.py (a floppy on the bus fdc), run here"],
        ..*GENERIC
    },
    GENERIC,
];

/// Finds a profile by its name.
pub fn find_profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name).copied()
}

/// Detects the profile from service root and system.
pub(crate) fn detect(root: &Value, system: &Value) -> &'static Profile {
    let mut names: Vec<String> = Vec::new();
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    names.extend(text(root, "Vendor"));
    if let Some(oem) = root.get("Oem").and_then(Value::as_object) {
        names.extend(oem.keys().cloned());
    }
    names.extend(text(system, "Manufacturer"));
    let names: Vec<_> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    let is = |profile: &Profile| {
        names.iter().any(|name| profile.vendors.iter().any(|vendor| name.starts_with(vendor)))
    };
    PROFILES.iter().find(|profile| is(profile)).copied().unwrap_or(GENERIC)
}

/// Whether messages mean that the same call may succeed later. Message ids have the name of the
/// vendor's registry, so they do not collide between vendors.
pub(crate) fn is_busy(detail: &str) -> bool {
    PROFILES.iter().flat_map(|profile| profile.busy).any(|busy| detail.contains(busy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vendors_are_detected_by_their_answers() {
        for (root, system, name) in [
            (json!({"Vendor": "Dell"}), json!({}), "idrac"),
            (json!({"Oem": {"Hpe": {}}}), json!({}), "ilo"),
            (json!({"Oem": {"Hp": {}}}), json!({}), "ilo"),
            (json!({"Oem": {"Lenovo": {}}}), json!({}), "xcc"),
            (json!({}), json!({"Manufacturer": "Supermicro"}), "supermicro"),
            (json!({}), json!({"Manufacturer": " Dell Inc. "}), "idrac"),
            (json!({}), json!({"Manufacturer": "Sushy Emulator"}), "sushy-tools"),
            (json!({}), json!({"Manufacturer": null}), "generic"),
            (json!([]), json!("x"), "generic"),
        ] {
            assert_eq!(detect(&root, &system).name, name, "{root} {system}");
        }
    }

    #[test]
    fn every_profile_can_be_named_and_has_sources() {
        for profile in PROFILES {
            assert_eq!(find_profile(profile.name), Some(*profile));
            assert!(!profile.sources.is_empty() && !profile.boot_targets.is_empty());
        }
        assert_eq!(find_profile("none"), None);
    }
}
