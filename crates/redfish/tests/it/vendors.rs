// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! All calls of a job, with each vendor.

use mock_bmc::{Boot, MediaMethod, PERSONALITIES, Personality, Source};
use redfish::{Kind, Power, Restart};

use crate::common::{
    MAINTENANCE, SERIAL, TASK, config, connect, start, start_and_connect, two_slots,
};

#[tokio::test]
async fn every_vendor_boots_the_maintenance_image_with_the_task_beside_it() {
    // The tests of the controller have those that need another slot or a combined image.
    let usual =
        |it: &&Personality| !matches!(it.name, "one-slot" | "refusing-slot") && !it.one_medium;
    for personality in PERSONALITIES.iter().filter(usual) {
        let name = personality.name;
        let mock = start(config(name)).await;
        let mut boots = mock.watch_boots();
        let bmc = connect(&mock).await;
        let profile = match name {
            "idrac10" => "idrac",
            "lenovo-other" => "xcc",
            "ami" | "openbmc" | "proxy" | "rewriting-proxy" => "generic",
            own => own,
        };
        assert_eq!(bmc.profile().name, profile);
        let (maintenance, task) = two_slots(&bmc);
        assert_eq!(maintenance.kind, Kind::Cd, "{name}");

        bmc.insert(&maintenance, MAINTENANCE).await.unwrap();
        bmc.insert(&task, TASK).await.unwrap();
        bmc.boot_cd_once().await.unwrap();
        let before = bmc.snapshot().await.unwrap();
        let restart = bmc.restart(&before, false).await.unwrap();
        let graceful = personality.resets.contains(&"GracefulRestart");
        assert_eq!(restart, if graceful { Restart::Graceful } else { Restart::Forced }, "{name}");

        let boot = boots.recv().await.unwrap();
        let Boot { serial, source, mut images } = boot;
        images.sort();
        assert_eq!(serial, SERIAL);
        assert_eq!(source, Source::Cd(MAINTENANCE.to_owned()), "{name}");
        assert_eq!(images, [MAINTENANCE, TASK], "{name}");
        assert_eq!(mock.boots().len(), 1, "{name}: {:?}", mock.resets());

        bmc.eject(&maintenance).await.unwrap();
        bmc.eject(&task).await.unwrap();
        bmc.boot_normally().await.unwrap();
        assert!(mock.images().iter().all(Option::is_none), "{name}");
        assert_eq!(mock.boot_source().1, "Disabled", "{name}");
        bmc.close().await;
        assert_eq!(mock.sessions(), 0, "{name}");
        if personality.media_method == MediaMethod::Patch {
            let posts = mock
                .requests()
                .into_iter()
                .filter(|(method, path, _)| method == "POST" && path.contains("VirtualMedia"));
            assert_eq!(posts.count(), 0, "{name}");
        }
    }
}

#[tokio::test]
async fn a_slot_of_its_own_for_each_image() {
    for (name, slots) in [
        ("generic", ["CD1", "CD2"]),
        ("idrac", ["1", "2"]),
        ("idrac-one-medium", ["CD", "RemovableDisk"]),
        ("ilo", ["2", "1"]),
        ("xcc", ["EXT1", "EXT2"]),
        ("supermicro", ["VirtualMedia1", "VirtualMedia2"]),
        ("one-slot", ["Cd", ""]),
        ("openbmc", ["Slot_2", "Slot_3"]),
        ("lenovo-other", ["CD1", "CD2"]),
    ] {
        let (_mock, bmc) = start_and_connect(config(name)).await;
        let ids: Vec<_> = bmc.slots().iter().map(|slot| slot.id.clone()).collect();
        assert_eq!(
            ids,
            slots.into_iter().filter(|id| !id.is_empty()).collect::<Vec<_>>(),
            "{name}"
        );
        bmc.close().await;
    }
}

#[tokio::test]
async fn a_bmc_that_takes_one_image_at_a_time_refuses_the_second() {
    let (_mock, bmc) = start_and_connect(config("idrac-one-medium")).await;
    let (maintenance, task) = two_slots(&bmc);
    bmc.insert(&maintenance, MAINTENANCE).await.unwrap();
    let error = bmc.insert(&task, TASK).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("RAC0904"), "{error}");
    assert!(!error.to_string().contains(TASK), "{error}");
}

#[tokio::test]
async fn the_serial_number_must_match() {
    let mock = start(config("generic")).await;
    let endpoint = crate::common::endpoint(&mock);
    let other = redfish::Bmc::connect(&endpoint, "SN-0043", None, crate::common::timing()).await;
    test_support::assert_contains(other.err().unwrap().to_string(), "SN-0042, expected SN-0043");
    assert_eq!(mock.sessions(), 0, "the session is closed after a fault, too");
    // Dell has the service tag in SKU.
    let dell = start(config("idrac")).await;
    connect(&dell).await.close().await;
}

#[tokio::test]
async fn a_machine_that_is_off_is_switched_on() {
    let mut config = config("generic");
    config.behaviour.on = false;
    let (mock, bmc) = start_and_connect(config).await;
    assert_eq!(bmc.power().await.unwrap(), Power::Off);
    bmc.boot_cd_once().await.unwrap();
    let before = bmc.snapshot().await.unwrap();
    assert_eq!(bmc.restart(&before, false).await.unwrap(), Restart::PoweredOn);
    assert_eq!(bmc.power().await.unwrap(), Power::On);
    assert_eq!(mock.resets(), ["On"]);
}

#[test]
fn calls_can_be_made_from_any_thread() {
    fn is_send(_: impl Send) {}
    let endpoint = crate::common::endpoint_at("http://127.0.0.1:9");
    is_send(async move {
        let bmc = redfish::Bmc::connect(&endpoint, SERIAL, None, crate::common::timing()).await?;
        let slot = bmc.slots()[0].clone();
        bmc.insert(&slot, TASK).await?;
        bmc.eject(&slot).await?;
        bmc.boot_cd_once().await?;
        bmc.restart(&bmc.snapshot().await?, false).await?;
        bmc.boot_normally().await?;
        bmc.close().await;
        Ok::<_, redfish::Error>(())
    });
}
