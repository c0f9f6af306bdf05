// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Hardware inventory, and the power verbs of operators.

use std::time::Duration;

use hyper::Method;
use mock_bmc::{Behaviour, Fault, Graceful, Mock, PERSONALITIES, Rule, Source};
use redfish::{Bmc, Class, Component, Power, Restart, TaskEnd};

use crate::common::{SERIAL, config, connect, endpoint, start, timing, variant};

async fn connect_system(mock: &Mock) -> Bmc {
    Bmc::connect_system(&endpoint(mock), SERIAL, None, timing()).await.unwrap()
}

fn select(components: &[Component], class: Class) -> Vec<&Component> {
    components.iter().filter(|it| it.class == class).collect()
}

#[tokio::test]
async fn every_vendor_lists_its_hardware() {
    for personality in PERSONALITIES {
        let name = personality.name;
        let mock = start(config(name)).await;
        let bmc = connect_system(&mock).await;
        let found = bmc.inventory().await.unwrap();
        assert!(found.notes.is_empty(), "{name}: {:?}", found.notes);
        let count = |class| select(&found.components, class).len();
        assert_eq!(count(Class::Processor), 2, "{name}");
        assert_eq!(count(Class::Memory), 1, "{name}: the other slot is empty");
        assert_eq!(count(Class::Drive), 2, "{name}");
        assert_eq!((count(Class::Firmware), count(Class::SecureBoot)), (2, 1), "{name}");
        let ports = select(&found.components, Class::Port);
        let mac =
            if personality.ports_in_chassis { "00:53:00:ab:cd:ef" } else { "00:53:00:12:34:56" };
        let macs: Vec<_> = ports.iter().filter_map(|port| port.mac.as_deref()).collect();
        assert_eq!(macs, [mac], "{name}");
        let trusted = select(&found.components, Class::Certificate);
        let trusted: Vec<_> = trusted.iter().filter_map(|it| it.name.as_deref()).collect();
        assert_eq!(
            trusted,
            ["Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"],
            "{name}: not the revoked one"
        );
        let system = select(&found.components, Class::System);
        assert_eq!(system[0].version.as_deref(), Some("1.0.0"), "{name}");
        assert_eq!(system[0].bytes, Some(64 << 30), "{name}");
        bmc.close().await;
        assert_eq!(mock.sessions(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_resource_that_is_refused_is_noted_and_the_rest_is_read() {
    let mock = start(config("generic")).await;
    let broken = Fault::Status { status: 404, retry_after: None, message: "Base.1.18.NotHere" };
    mock.fault(Rule::once(Method::GET, "Drives/1", broken.clone()).times(1_000));
    mock.fault(Rule::once(Method::GET, "UpdateService", broken).times(1_000));
    let found = connect_system(&mock).await.inventory().await.unwrap();
    assert_eq!(select(&found.components, Class::Drive).len(), 1);
    assert!(select(&found.components, Class::Firmware).is_empty());
    let notes = found.notes.join("\n");
    assert!(notes.contains("Drives/1") && notes.contains("UpdateService"), "{notes}");
    assert_eq!(found.notes.len(), 2, "{notes}");
    // A BMC that is away is an error.
    let bmc = connect_system(&mock).await;
    mock.set_gone(true);
    assert!(bmc.inventory().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn power_and_inventory_need_no_virtual_media() {
    let mock = start(variant("generic", |it| it.slots = &[])).await;
    let bmc = connect_system(&mock).await;
    assert!(bmc.slots().is_empty());
    assert_eq!(bmc.power().await.unwrap(), Power::On);
    assert!(!bmc.inventory().await.unwrap().components.is_empty());
    assert!(Bmc::connect(&endpoint(&mock), SERIAL, None, timing()).await.is_err());
}

#[tokio::test]
async fn every_vendor_is_powered_on_off_and_restarted() {
    for personality in PERSONALITIES {
        let name = personality.name;
        let mock = start(config(name)).await;
        let bmc = connect_system(&mock).await;
        assert!(!bmc.power_on().await.unwrap(), "{name}");
        assert!(mock.resets().is_empty(), "{name}: it was on");
        bmc.power_off().await.unwrap();
        assert_eq!(bmc.power().await.unwrap(), Power::Off, "{name}");
        assert!(bmc.power_on().await.unwrap(), "{name}");
        let starts = |mock: &Mock| {
            let resets = mock.resets();
            resets
                .iter()
                .filter(|it| !matches!(it.as_str(), "ForceOff" | "GracefulShutdown"))
                .count()
        };
        let before = starts(&mock);
        bmc.power_cycle().await.unwrap();
        assert_eq!(starts(&mock), before + 1, "{name}: {:?}", mock.resets());
        assert_eq!(bmc.reset().await.unwrap(), Restart::Forced, "{name}");
        assert_eq!(starts(&mock), before + 2, "{name}: {:?}", mock.resets());
        assert_eq!(bmc.power().await.unwrap(), Power::On, "{name}");
        bmc.power_off().await.unwrap();
        for start in [bmc.reset().await.unwrap(), {
            bmc.power_off().await.unwrap();
            bmc.power_cycle().await.unwrap()
        }] {
            assert_eq!(start, Restart::PoweredOn, "{name}");
        }
        bmc.close().await;
    }
}

#[tokio::test]
async fn a_reset_does_not_wait_for_the_operating_system() {
    let mut config = config("generic");
    config.behaviour = Behaviour { graceful: Graceful::Never, ..Behaviour::default() };
    let mock = start(config).await;
    let mut boots = mock.watch_boots();
    assert_eq!(connect(&mock).await.reset().await.unwrap(), Restart::Forced);
    assert_eq!(boots.recv().await.unwrap().source, Source::Disk);
    assert_eq!(mock.resets(), ["ForceRestart"]);
    // The answer is lost: the effect shows that it was carried out.
    mock.fault(Rule::once(Method::POST, "Reset", Fault::DropAfter));
    assert_eq!(connect(&mock).await.reset().await.unwrap(), Restart::Forced);
    assert_eq!(mock.resets(), ["ForceRestart", "ForceRestart"]);
}

#[tokio::test]
async fn firmware_is_updated_by_a_task_that_outlives_the_bmc_and_the_client() {
    for name in ["generic", "idrac-one-medium"] {
        let mut config = config(name);
        config.behaviour.task = Duration::from_millis(30);
        let mock = start(config).await;
        let bmc = connect_system(&mock).await;
        let image = "http://media.test/firmware/1/token/bios-2.0.0.bin";
        let monitor = bmc.start_update(image).await.unwrap().unwrap();
        bmc.close().await;
        // Another process follows it, and the BMC restarts on the way.
        let bmc = connect_system(&mock).await;
        mock.fault(Rule::once(Method::GET, "TaskMonitors", Fault::DropBefore).times(7));
        let limit = Duration::from_secs(10);
        assert_eq!(bmc.follow_update(&monitor, limit).await.unwrap(), TaskEnd::Completed);
        let found = bmc.inventory().await.unwrap();
        let bios = select(&found.components, Class::Firmware)[0].version.clone();
        assert_eq!(bios.as_deref(), Some("2.0.0"), "{name}");
        let gone = "/redfish/v1/TaskService/TaskMonitors/99";
        assert_eq!(bmc.follow_update(gone, limit).await.unwrap(), TaskEnd::Unknown);
        let error = bmc.start_update("http://media.test/secret.iso").await.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
