// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The client with the emulator of sushy-tools and its fake systems: media are below the system,
//! there are no serial numbers and no sessions, the image is fetched at once, and the boot source
//! applies to every boot.

use std::process::Stdio;
use std::time::Duration;

use redfish::{Bmc, Kind, Power, Restart, Timing};
use tempfile::TempDir;
use test_support::http::{Server, answer};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::common::{endpoint_at, timing, two_slots};

/// Two drives, since the emulator has only one CD by default; and a free port.
const CONFIG: &str = "
SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'
SUSHY_EMULATOR_LISTEN_PORT = 0
SUSHY_EMULATOR_STATE_DIR = '@'
SUSHY_EMULATOR_VMEDIA_DEVICES = {
    'Cd': {'Name': 'Virtual CD', 'MediaTypes': ['CD', 'DVD']},
    'CdStick': {'Name': 'Virtual stick', 'MediaTypes': ['USBStick']},
}
";

struct Emulator {
    url: String,
    _process: Child,
    _folder: TempDir,
}

async fn emulator() -> Option<Emulator> {
    let program = test_support::find("sushy-emulator")?;
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("emulator.conf");
    std::fs::write(&config, CONFIG.replace('@', folder.path().to_str().unwrap())).unwrap();
    let mut process = Command::new(program)
        .args(["--fake", "--config"])
        .arg(&config)
        // It unpacks the image there.
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let url = loop {
        let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended"));
        if let Some((_, url)) = line.split_once("Running on ") {
            break url.trim().to_owned();
        }
    };
    // It must not block on a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some(Emulator { url, _process: process, _folder: folder })
}

#[tokio::test]
async fn a_job_goes_through_with_an_emulator_that_nobody_here_wrote() {
    let Some(emulator) = emulator().await else { return };
    let images = Server::start(|_| answer(200).body("image")).url();
    let endpoint = endpoint_at(&emulator.url);
    // Its systems take up to eleven seconds for each power change.
    let timing = Timing {
        poll: Duration::from_millis(50),
        settle: Duration::from_secs(5),
        graceful: Duration::from_mins(1),
        power: Duration::from_mins(1),
        ..timing()
    };
    let bmc = Bmc::connect(&endpoint, "any", None, timing).await.unwrap();
    assert_eq!(bmc.profile().name, "sushy-tools");
    let (maintenance, task) = two_slots(&bmc);
    assert_eq!((maintenance.kind, task.kind), (Kind::Cd, Kind::Usb));
    bmc.insert(&maintenance, &format!("{images}/maintenance.iso")).await.unwrap();
    bmc.insert(&task, &format!("{images}/task.iso")).await.unwrap();
    // An inserted image is replaced.
    bmc.insert(&task, &format!("{images}/other.iso")).await.unwrap();
    bmc.boot_cd_once().await.unwrap();
    assert_eq!(bmc.power().await.unwrap(), Power::Off);
    let before = bmc.snapshot().await.unwrap();
    assert_eq!(bmc.restart(&before, false).await.unwrap(), Restart::PoweredOn);
    bmc.eject(&maintenance).await.unwrap();
    bmc.eject(&task).await.unwrap();
    bmc.boot_normally().await.unwrap();
    bmc.close().await;
}

#[tokio::test]
async fn an_image_that_the_bmc_can_not_fetch_is_a_fault_with_a_reason() {
    let Some(emulator) = emulator().await else { return };
    let bmc = Bmc::connect(&endpoint_at(&emulator.url), "any", None, timing()).await.unwrap();
    let (slot, _) = two_slots(&bmc);
    let url = "http://127.0.0.1:9/token/task.iso";
    let error = bmc.insert(&slot, url).await.unwrap_err().to_string();
    assert!(error.contains("500") && !error.contains("token"), "{error}");
}
