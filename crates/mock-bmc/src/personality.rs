// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Vendors as data. Where the facts are from: the same sources as in `redfish::profile`.

/// Where the collection of virtual media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaAt {
    /// Under the manager.
    Manager,
    /// Under the system, as the standard has it since 2020.
    System,
}

/// How media are inserted and ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaBy {
    /// By actions.
    Action,
    /// By PATCH of the slot; there are no actions.
    Patch,
}

/// Which versions resources show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etags {
    /// None.
    None,
    /// `"1"`.
    Strong,
    /// `W/"1"`, of which If-Match takes the strong form alone.
    Weak,
}

/// How answers are encoded, whatever the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As UTF-8.
    Plain,
    /// As UTF-8 after a byte-order mark.
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
    /// Whether it takes URLs. Some only hold what a console shares.
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
    /// Whether `SerialNumber` is the board's, and the machine's is `SKU`.
    pub serial_as_sku: bool,
    /// Where media are.
    pub media_at: MediaAt,
    /// How media are inserted.
    pub media_by: MediaBy,
    /// The slots, in the order of the list.
    pub slots: &'static [SlotKind],
    /// How many sessions there are at once; 0 where there is no session service.
    pub sessions: usize,
    /// Whether `InsertMedia` wants `TransferProtocolType`.
    pub wants_protocol: bool,
    /// Whether `InsertMedia` refuses `Inserted` and `WriteProtected`.
    pub refuses_flags: bool,
    /// Whether a second medium is refused while there is one.
    pub one_medium: bool,
    /// How often a slot is read as full after it was ejected.
    pub stale_reads: u32,
    /// Whether actions on media answer 202 and a task.
    pub tasks: bool,
    /// Versions of resources.
    pub etags: Etags,
    /// The allowed boot sources; none where the list is left out.
    pub boot_targets: &'static [&'static str],
    /// The boot source that starts a virtual CD.
    pub boots_cd: &'static str,
    /// Whether `BootSourceOverrideMode` is writable.
    pub mode_writable: bool,
    /// The allowed resets.
    pub resets: &'static [&'static str],
    /// Whether the system tells `LastResetTime`.
    pub tells_reset: bool,
    /// What refuses a change of the boot source in POST, if anything does.
    pub post_message: Option<&'static str>,
    /// How often `On` is answered with 409 after the host was switched off.
    pub on_conflicts: u32,
    /// Whether the boot source is changed through the settings resource only.
    pub boot_in_settings: bool,
    /// Whether a change of the boot source must have `BootSourceOverrideMode`.
    pub wants_mode: bool,
    /// Whether `InsertMedia` wants `UserName` and `Password`.
    pub wants_login: bool,
    /// Whether the answer to a login lacks the token.
    pub forgets_token: bool,
    /// How answers are encoded.
    pub encoding: Encoding,
    /// The path of a proxy before all paths, and whether it rewrites links; empty without a proxy.
    pub prefix: (&'static str, bool),
}

const CD: &[&str] = &["CD", "DVD"];
const USB: &[&str] = &["Floppy", "USBStick"];
const RESETS: &[&str] =
    &["On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle"];

const fn slot(id: &'static str, types: &'static [&'static str]) -> SlotKind {
    SlotKind { id, types, urls: true, inert: false }
}

const fn console(id: &'static str) -> SlotKind {
    SlotKind { id, types: CD, urls: false, inert: false }
}

/// A BMC that keeps to the standard and does all of it.
const GENERIC: Personality = Personality {
    name: "generic",
    vendor: None,
    manufacturer: "Contoso",
    system: "437XR1138R2",
    manager: "BMC",
    serial_as_sku: false,
    media_at: MediaAt::Manager,
    media_by: MediaBy::Action,
    slots: &[slot("CD1", CD), slot("CD2", CD)],
    sessions: 16,
    wants_protocol: false,
    refuses_flags: false,
    one_medium: false,
    stale_reads: 0,
    tasks: false,
    etags: Etags::Strong,
    boot_targets: &["None", "Pxe", "Cd", "Hdd"],
    boots_cd: "Cd",
    mode_writable: true,
    resets: RESETS,
    tells_reset: true,
    post_message: None,
    on_conflicts: 0,
    boot_in_settings: false,
    wants_mode: false,
    wants_login: false,
    forgets_token: false,
    encoding: Encoding::Plain,
    prefix: ("", false),
};

/// All personalities.
pub static PERSONALITIES: &[Personality] = &[
    GENERIC,
    Personality {
        name: "idrac",
        vendor: Some("Dell"),
        manufacturer: "Dell Inc.",
        system: "System.Embedded.1",
        manager: "iDRAC.Embedded.1",
        serial_as_sku: true,
        media_at: MediaAt::System,
        slots: &[slot("1", CD), slot("2", CD)],
        sessions: 6,
        stale_reads: 3,
        boot_targets: &[],
        ..GENERIC
    },
    // Older ones: a CD and a stick under the manager, of which one at a time is taken.
    Personality {
        name: "idrac-one-medium",
        vendor: Some("Dell"),
        manufacturer: "Dell Inc.",
        system: "System.Embedded.1",
        manager: "iDRAC.Embedded.1",
        serial_as_sku: true,
        slots: &[slot("RemovableDisk", USB), slot("CD", CD)],
        sessions: 6,
        one_medium: true,
        wants_protocol: true,
        tells_reset: false,
        ..GENERIC
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
        tells_reset: false,
        post_message: Some("iLO.2.37.UnableToModifyDuringSystemPOST"),
        ..GENERIC
    },
    Personality {
        name: "xcc",
        vendor: Some("Lenovo"),
        manufacturer: "Lenovo",
        system: "1",
        manager: "1",
        media_by: MediaBy::Patch,
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
        refuses_flags: true,
        tasks: true,
        boot_targets: &["None", "Pxe", "Cd", "UsbCd", "Hdd"],
        boots_cd: "UsbCd",
        resets: &["On", "ForceOff", "GracefulShutdown", "ForceRestart"],
        tells_reset: false,
        ..GENERIC
    },
    Personality {
        name: "one-slot",
        slots: &[slot("Cd", CD), slot("Floppy", &["Floppy"])],
        sessions: 0,
        ..GENERIC
    },
    // `On` is refused for some time after `ForceOff`; there is no graceful reset to see.
    Personality {
        name: "idrac10",
        vendor: Some("Dell"),
        manufacturer: "Dell Inc.",
        system: "System.Embedded.1",
        manager: "iDRAC.Embedded.1",
        serial_as_sku: true,
        media_at: MediaAt::System,
        slots: &[slot("1", CD), slot("2", CD)],
        boot_targets: &[],
        resets: &["On", "ForceOff"],
        on_conflicts: 3,
        tells_reset: false,
        ..GENERIC
    },
    // The boot source is changed through /SD, with its mode each time.
    Personality {
        name: "ami",
        manufacturer: "American Megatrends",
        system: "Self",
        manager: "Self",
        boot_in_settings: true,
        wants_mode: true,
        wants_login: true,
        tells_reset: false,
        ..GENERIC
    },
    // The first slot takes nothing.
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
    // Lenovo's, but not XCC: no slot is named EXT.
    Personality {
        name: "lenovo-other",
        vendor: Some("Lenovo"),
        manufacturer: "Lenovo",
        system: "Self",
        manager: "Self",
        slots: &[slot("CD1", CD), slot("CD2", CD)],
        forgets_token: true,
        encoding: Encoding::Marked,
        ..GENERIC
    },
    Personality { name: "proxy", prefix: ("/bmc7", false), ..GENERIC },
    Personality { name: "rewriting-proxy", prefix: ("/rack/bmc7", true), ..GENERIC },
];

/// The personality of this name.
pub fn named(name: &str) -> Option<&'static Personality> {
    PERSONALITIES.iter().find(|personality| personality.name == name)
}
