// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Random combinations of quirks and faults, reproducible by their seed.
//!
//! Every combination can provision a host: a client that fails with one has a bug.

use std::time::Duration;

use fastrand::Rng;
use hyper::Method;

use crate::config::Config;
use crate::fault::{Fault, Rule};
use crate::machine::{Behaviour, Graceful};
use crate::personality::{
    CD, Encoding, Etags, MediaLocation, MediaMethod, Personality, RESETS, SlotKind, USB,
};

/// Vendors that a profile of the client may match, with their `Manufacturer`.
const VENDORS: &[(Option<&str>, &str)] = &[
    (None, "Contoso"),
    (None, "American Megatrends"),
    (Some("Dell"), "Dell Inc."),
    (Some("HPE"), "HPE"),
    (Some("Lenovo"), "Lenovo"),
    (Some("Supermicro"), "Supermicro"),
];

/// Ids of slots in natural order, which is the boot order of the host.
const SLOT_IDS: &[&[&str]] = &[
    &["1", "2", "3", "4"],
    &["CD1", "CD2", "CD3", "CD4"],
    &["EXT1", "EXT2", "EXT3", "EXT4"],
    &["Slot_2", "Slot_10", "Slot_11", "Slot_12"],
];

/// Sets of resets with which a host can be restarted.
const RESET_SETS: &[&[&str]] = &[
    RESETS,
    &["On", "ForceOff"],
    &["On", "ForceOff", "GracefulShutdown"],
    &["On", "ForceOff", "ForceRestart"],
    &["On", "ForceOff", "GracefulRestart"],
    &["On", "ForceOff", "GracefulShutdown", "PowerCycle"],
];

/// Returns a BMC with quirks drawn from `seed`, and the faults to add to it. The personality is
/// never freed.
pub fn random(seed: u64, serial: &str) -> (Config, Vec<Rule>) {
    let mut rng = Rng::with_seed(seed);
    let personality = personality(&mut rng);
    let rules = (0..rng.usize(0..4)).map(|_| rule(&mut rng, &personality)).collect();
    let mut config = Config::new(Box::leak(Box::new(personality)), serial);
    config.behaviour = behaviour(&mut rng);
    (config, rules)
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

/// Whether a quirk that few BMCs have applies.
fn rarely(rng: &mut Rng) -> bool {
    rng.u8(0..4) == 0
}

fn personality(rng: &mut Rng) -> Personality {
    let (vendor, manufacturer) = pick(rng, VENDORS);
    let without_list = rarely(rng);
    let with_usb_cd = rng.bool();
    // The name that the firmware of this vendor boots: openstack/sushy system.py (X11, X12).
    let boots_usb_cd = vendor == Some("Supermicro") && with_usb_cd && !without_list;
    let requires_mode = rarely(rng);
    Personality {
        name: "random",
        vendor,
        manufacturer,
        system: pick(rng, &["1", "Self", "System.Embedded.1", "437XR1138R2"]),
        manager: pick(rng, &["1", "Self", "bmc"]),
        serial_as_sku: rng.bool(),
        media_location: pick(rng, &[MediaLocation::Manager, MediaLocation::System]),
        media_method: if rarely(rng) { MediaMethod::Patch } else { MediaMethod::Action },
        slots: slots(rng),
        sessions: pick(rng, &[0, 1, 2, 6, 16]),
        requires_protocol: rarely(rng),
        refuses_inserted: rarely(rng),
        one_medium: rarely(rng),
        stale_reads: if rarely(rng) { rng.u32(1..5) } else { 0 },
        tasks: rarely(rng),
        etags: pick(rng, &[Etags::None, Etags::Strong, Etags::Weak]),
        boot_targets: match (without_list, with_usb_cd) {
            (true, _) => &[],
            (false, true) => &["None", "Pxe", "Cd", "UsbCd", "Hdd"],
            (false, false) => &["None", "Pxe", "Cd", "Hdd"],
        },
        boots_cd: if boots_usb_cd { "UsbCd" } else { "Cd" },
        // A BMC that both requires and refuses the mode cannot boot from a CD.
        mode_writable: requires_mode || rng.bool(),
        resets: pick(rng, RESET_SETS),
        reports_reset: rng.bool(),
        post_message: rarely(rng).then_some("iLO.2.37.UnableToModifyDuringSystemPOST"),
        on_conflicts: if rarely(rng) { rng.u32(1..5) } else { 0 },
        boot_in_settings: rarely(rng),
        requires_mode,
        requires_login: rarely(rng),
        omits_token: rarely(rng),
        encoding: pick(rng, &[Encoding::Plain, Encoding::Marked, Encoding::Gzip]),
        ports_in_chassis: rng.bool(),
        prefix: pick(rng, &[("", false), ("", false), ("/bmc7", false), ("/rack/bmc7", true)]),
    }
}

/// One to four slots. One of them is a CD drive that accepts URLs.
fn slots(rng: &mut Rng) -> &'static [SlotKind] {
    let ids = pick(rng, SLOT_IDS);
    let count = rng.usize(1..=ids.len());
    let good = rng.usize(0..count);
    let mut slots = Vec::with_capacity(count);
    for (index, id) in ids.iter().take(count).enumerate() {
        let mut slot = SlotKind { id, types: CD, urls: true, inert: false };
        if index != good {
            match rng.u8(0..6) {
                0 => slot.types = USB,
                1 => slot.types = &["Floppy"],
                2 => slot.urls = false,
                3 => slot.inert = true,
                _ => {}
            }
        }
        slots.push(slot);
    }
    Vec::leak(slots)
}

fn behaviour(rng: &mut Rng) -> Behaviour {
    let mut time = |most: u64| Duration::from_millis(rng.u64(0..=most));
    let (off, post, task, shutdown) = (time(20), time(30), time(20), time(30));
    Behaviour {
        on: !rarely(rng),
        off,
        post,
        graceful: if rarely(rng) { Graceful::Never } else { Graceful::After(shutdown) },
        task,
        ..Behaviour::default()
    }
}

fn rule(rng: &mut Rng, personality: &Personality) -> Rule {
    let requests = [
        (Method::GET, "/Systems/"),
        (Method::GET, "/VirtualMedia"),
        (Method::GET, "/redfish/v1"),
        (Method::PATCH, "/Systems/"),
        (Method::POST, "ComputerSystem.Reset"),
        (Method::POST, "VirtualMedia."),
    ];
    let (method, path) = pick(rng, &requests.each_ref());
    let unavailable = |status| Fault::Status {
        status,
        retry_after: Some(1),
        message: "Base.1.18.ServiceTemporarilyUnavailable",
    };
    let mut times = rng.u32(1..3);
    let fault = match rng.u8(0..8) {
        0 => unavailable(503),
        1 => unavailable(502),
        2 => Fault::DropBefore,
        3 => Fault::DropAfter,
        4 => Fault::HangBefore,
        5 => Fault::HangAfter,
        6 if *method != Method::GET => Fault::Pretend,
        // The session ended. Without sessions, it would mean wrong credentials.
        6 if personality.sessions > 0 && !personality.omits_token && *path == "/Systems/" => {
            // A second refusal, after a new login, means the same.
            times = 1;
            Fault::Status { status: 401, retry_after: None, message: "Base.1.18.NoValidSession" }
        }
        _ => Fault::Slow(Duration::from_millis(rng.u64(0..50))),
    };
    Rule::once(method.clone(), path, fault).times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_bmc_and_every_bmc_has_a_usable_slot() {
        for seed in 0..200 {
            let (config, rules) = random(seed, "S1");
            let (again, same) = random(seed, "S1");
            assert_eq!(config.personality, again.personality, "{seed}");
            assert_eq!(format!("{rules:?}"), format!("{same:?}"), "{seed}");
            let usable = |slot: &&SlotKind| slot.types == CD && slot.urls && !slot.inert;
            assert!(config.personality.slots.iter().any(|slot| usable(&slot)), "{seed}");
        }
    }
}
