// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Personalities: the behaviour of vendors' BMCs as data. `redfish::profile` has the sources.

/// Location of the virtual media collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaLocation {
    /// Below the manager.
    Manager,
    /// Below the system, as in the standard since 2020.
    System,
}

/// How media are inserted and ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaMethod {
    /// With actions.
    Action,
    /// With PATCH of the slot; there are no actions.
    Patch,
}

/// Kind of `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etags {
    /// None.
    None,
    /// `"1"`.
    Strong,
    /// `W/"1"`; If-Match accepts the strong form only.
    Weak,
}

/// Encoding of answers, whatever the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Plain,
    /// UTF-8 after a byte-order mark.
    Marked,
    /// Compressed.
    Gzip,
}

/// A slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotKind {
    /// Its `Id`.
    pub id: &'static str,
    /// Its `MediaTypes`.
    pub types: &'static [&'static str],
    /// Whether it accepts URLs. Some accept images of a console only.
    pub urls: bool,
    /// Whether it has neither actions nor PATCH.
    pub inert: bool,
}

/// A vendor's BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a quirk of its own")]
pub struct Personality {
    /// Its name on the command line.
    pub name: &'static str,
    /// `Vendor` of the service root, and the key of `Oem`.
    pub vendor: Option<&'static str>,
    /// `Manufacturer` of the system.
    pub manufacturer: &'static str,
    /// The id of the system.
    pub system: &'static str,
    /// The id of the manager.
    pub manager: &'static str,
    /// Whether `SerialNumber` is that of the board, and `SKU` that of the host.
    pub serial_as_sku: bool,
    /// Location of the media.
    pub media_location: MediaLocation,
    /// How media are inserted.
    pub media_method: MediaMethod,
    /// The slots, in list order.
    pub slots: &'static [SlotKind],
    /// Most sessions at once; 0 without a session service.
    pub sessions: usize,
    /// Whether `InsertMedia` requires `TransferProtocolType`.
    pub requires_protocol: bool,
    /// Whether `InsertMedia` refuses `Inserted` and `WriteProtected`.
    pub refuses_inserted: bool,
    /// Whether a second medium is refused.
    pub one_medium: bool,
    /// How often an ejected slot still reports its medium.
    pub stale_reads: u32,
    /// Whether media actions answer 202 with a task.
    pub tasks: bool,
    /// Kind of `ETag`.
    pub etags: Etags,
    /// The allowed boot sources; empty if the list is omitted.
    pub boot_targets: &'static [&'static str],
    /// The boot source that boots a virtual CD.
    pub boots_cd: &'static str,
    /// Whether `BootSourceOverrideMode` is writable.
    pub mode_writable: bool,
    /// The allowed resets.
    pub resets: &'static [&'static str],
    /// Whether the system has `LastResetTime`.
    pub reports_reset: bool,
    /// Message that refuses a change of the boot source during POST, if it is refused.
    pub post_message: Option<&'static str>,
    /// How often `On` gets 409 after the host was switched off.
    pub on_conflicts: u32,
    /// Whether the boot source is changed only through the settings resource.
    pub boot_in_settings: bool,
    /// Whether a change of the boot source requires `BootSourceOverrideMode`.
    pub requires_mode: bool,
    /// Whether `InsertMedia` requires `UserName` and `Password`.
    pub requires_login: bool,
    /// Whether the answer to a login lacks the token.
    pub omits_token: bool,
    /// Encoding of answers.
    pub encoding: Encoding,
    /// Whether network ports are listed below the chassis only.
    pub ports_in_chassis: bool,
    /// Path prefix of a proxy, and whether it rewrites links; empty without a proxy.
    pub prefix: (&'static str, bool),
}

pub(crate) const CD: &[&str] = &["CD", "DVD"];
pub(crate) const USB: &[&str] = &["Floppy", "USBStick"];
pub(crate) const RESETS: &[&str] =
    &["On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle"];

const fn slot(id: &'static str, types: &'static [&'static str]) -> SlotKind {
    SlotKind { id, types, urls: true, inert: false }
}

const fn console(id: &'static str) -> SlotKind {
    SlotKind { id, types: CD, urls: false, inert: false }
}

/// A BMC that implements all of the standard.
pub(crate) const GENERIC: Personality = Personality {
    name: "generic",
    vendor: None,
    manufacturer: "Contoso",
    system: "437XR1138R2",
    manager: "BMC",
    serial_as_sku: false,
    media_location: MediaLocation::Manager,
    media_method: MediaMethod::Action,
    slots: &[slot("CD1", CD), slot("CD2", CD)],
    sessions: 16,
    requires_protocol: false,
    refuses_inserted: false,
    one_medium: false,
    stale_reads: 0,
    tasks: false,
    etags: Etags::Strong,
    boot_targets: &["None", "Pxe", "Cd", "Hdd"],
    boots_cd: "Cd",
    mode_writable: true,
    resets: RESETS,
    reports_reset: true,
    post_message: None,
    on_conflicts: 0,
    boot_in_settings: false,
    requires_mode: false,
    requires_login: false,
    omits_token: false,
    encoding: Encoding::Plain,
    ports_in_chassis: false,
    prefix: ("", false),
};

const IDRAC: Personality = Personality {
    name: "idrac",
    vendor: Some("Dell"),
    manufacturer: "Dell Inc.",
    system: "System.Embedded.1",
    manager: "iDRAC.Embedded.1",
    serial_as_sku: true,
    media_location: MediaLocation::System,
    slots: &[slot("1", CD), slot("2", CD)],
    sessions: 6,
    stale_reads: 3,
    boot_targets: &[],
    ..GENERIC
};

/// All personalities.
pub static PERSONALITIES: &[Personality] = &[
    GENERIC,
    IDRAC,
    // Older ones: a CD and a USB stick below the manager, of which one is accepted at a time.
    Personality {
        name: "idrac-one-medium",
        media_location: MediaLocation::Manager,
        slots: &[slot("RemovableDisk", USB), slot("CD", CD)],
        stale_reads: 0,
        one_medium: true,
        requires_protocol: true,
        boot_targets: GENERIC.boot_targets,
        reports_reset: false,
        ..IDRAC
    },
    Personality {
        name: "ilo",
        vendor: Some("HPE"),
        manufacturer: "HPE",
        system: "1",
        manager: "1",
        slots: &[slot("1", USB), slot("2", CD)],
        etags: Etags::Weak,
        mode_writable: false,
        reports_reset: false,
        post_message: Some("iLO.2.37.UnableToModifyDuringSystemPOST"),
        ..GENERIC
    },
    Personality {
        name: "xcc",
        vendor: Some("Lenovo"),
        manufacturer: "Lenovo",
        system: "1",
        manager: "1",
        media_method: MediaMethod::Patch,
        slots: &[
            console("RDOC1"),
            console("RDOC2"),
            console("Remote1"),
            slot("EXT1", CD),
            slot("EXT2", CD),
        ],
        ..GENERIC
    },
    Personality {
        name: "supermicro",
        vendor: Some("Supermicro"),
        manufacturer: "Supermicro",
        system: "1",
        manager: "1",
        slots: &[slot("VirtualMedia1", CD), slot("VirtualMedia2", CD)],
        etags: Etags::None,
        refuses_inserted: true,
        tasks: true,
        boot_targets: &["None", "Pxe", "Cd", "UsbCd", "Hdd"],
        boots_cd: "UsbCd",
        resets: &["On", "ForceOff", "GracefulShutdown", "ForceRestart"],
        reports_reset: false,
        ..GENERIC
    },
    Personality {
        name: "one-slot",
        slots: &[slot("Cd", CD), slot("Floppy", &["Floppy"])],
        sessions: 0,
        ..GENERIC
    },
    // `On` is refused for some time after `ForceOff`; there is no graceful reset.
    Personality {
        name: "idrac10",
        sessions: GENERIC.sessions,
        stale_reads: 0,
        resets: &["On", "ForceOff"],
        on_conflicts: 3,
        reports_reset: false,
        ..IDRAC
    },
    // The boot source is changed through /SD, always with its mode.
    Personality {
        name: "ami",
        manufacturer: "American Megatrends",
        system: "Self",
        manager: "Self",
        boot_in_settings: true,
        requires_mode: true,
        requires_login: true,
        ports_in_chassis: true,
        reports_reset: false,
        ..GENERIC
    },
    // The first slot accepts nothing.
    Personality {
        name: "openbmc",
        manufacturer: "Contoso",
        system: "system",
        manager: "bmc",
        slots: &[
            SlotKind { id: "Slot_0", types: CD, urls: false, inert: true },
            slot("Slot_2", CD),
            slot("Slot_3", CD),
        ],
        encoding: Encoding::Gzip,
        ..GENERIC
    },
    // Lenovo, but not XCC: no slot is named EXT.
    Personality {
        name: "lenovo-other",
        vendor: Some("Lenovo"),
        manufacturer: "Lenovo",
        system: "Self",
        manager: "Self",
        slots: &[slot("CD1", CD), slot("CD2", CD)],
        omits_token: true,
        encoding: Encoding::Marked,
        ..GENERIC
    },
    // The first slot lists InsertMedia, and refuses it.
    Personality {
        name: "refusing-slot",
        slots: &[console("CD0"), slot("CD1", CD), slot("CD2", CD)],
        ..GENERIC
    },
    Personality { name: "proxy", prefix: ("/bmc7", false), ..GENERIC },
    Personality { name: "rewriting-proxy", prefix: ("/rack/bmc7", true), ..GENERIC },
];

/// Finds a personality by its name.
pub fn find_personality(name: &str) -> Option<&'static Personality> {
    PERSONALITIES.iter().find(|personality| personality.name == name)
}
