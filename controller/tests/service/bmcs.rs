// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A whole job with each vendor's mock BMC: the host boots the inserted media, reads them
//! completely, and reports.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;

use iso9660::combined::{self, Part};
use iso9660::reader::Volume;
use mock_bmc::{Behaviour, Boot, Graceful, Host, PERSONALITIES, Personality, Source};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::api::{CONFIG, PASSWORD, prepare_folder, recipe, send, start_job, wait_until};
use crate::support::{Client, Process, bytes, mock_with, serve_on};

/// Runs a job. Returns the job, the boots of the host, and the process.
fn provision(personality: &'static Personality, maintenance: &[u8]) -> (Value, Vec<Boot>, Process) {
    let folder = prepare_folder();
    fs::write(folder.path().join("data/media/static/maintenance.iso"), maintenance).unwrap();
    // The URL is needed before a server listens on it.
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = format!(
        "{CONFIG}[redfish]\ngraceful_timeout = \"200ms\"\npower_timeout = \"2s\"\npost_timeout = \"300ms\"\npoll = \"20ms\"\n"
    );
    let config = config.replace("http://127.0.0.1:1", &format!("http://{host}"));
    let process = Process::spawn(&mut serve_on(&host, folder.path(), &config));
    let runtime = Runtime::new().unwrap();
    let (mock, server) = mock_with(&runtime, personality, |config| {
        // The operating system of this host hangs.
        if personality.name == "xcc" {
            config.behaviour = Behaviour { graceful: Graceful::Never, ..Behaviour::default() };
        }
    });
    let mut boots = mock.watch_boots();
    let machine = Host { controller: format!("http://{host}") };
    runtime.spawn(async move {
        while let Some(boot) = boots.recv().await {
            machine.run(&boot).await.unwrap();
        }
    });
    let ops = process.client.login("ops", PASSWORD);
    send(&ops, "PUT", "/api/v1/servers/S1", &server).expect(201);
    let id = &start_job(&ops, "S1");
    let done = wait_until(&ops, id, |job| job["status"] == "complete");
    assert_eq!(done["outcome"], "succeeded", "{}: {done:#}", personality.name);
    assert!(mock.images().iter().all(Option::is_none), "{}", personality.name);
    // Images are retained for a while, and so is the folder while the process runs.
    check_images(personality, &process.client, &mock.boots(), maintenance, id);
    (done, mock.boots(), process)
}

/// Checks that the host booted the maintenance image, with the task image appended or in a second
/// slot.
fn check_images(
    personality: &Personality,
    client: &Client,
    boots: &[Boot],
    maintenance: &[u8],
    id: &str,
) {
    let name = personality.name;
    let first = boots.first().unwrap();
    let Source::Cd(source) = &first.source else { panic!("{name}: {boots:?}") };
    let read = |url: &str| client.get(&url[url.find("/media/").unwrap()..]).expect(200).body;
    let booted = read(source);
    assert!(booted.starts_with(maintenance), "{name}");
    let task = if matches!(name, "one-slot" | "idrac-one-medium") {
        assert_eq!(first.images.len(), 1, "{name}: {first:?}");
        assert!(source.contains("/media/combined/"), "{name}: {source}");
        let mut medium = std::io::Cursor::new(booted);
        let range = combined::find(&mut medium).unwrap().unwrap();
        let mut task = Vec::new();
        Part::new(medium, range).read_to_end(&mut task).unwrap();
        task
    } else {
        assert_eq!((booted.len(), first.images.len()), (maintenance.len(), 2), "{name}: {first:?}");
        read(first.images.iter().find(|image| *image != source).unwrap())
    };
    let mut volume = Volume::open(std::io::Cursor::new(task)).unwrap();
    assert_eq!(volume.info().volume_id, iso9660::task::volume_id(id).unwrap(), "{name}");
    let entry = volume.find("recipe.json").unwrap();
    let found: Value = serde_json::from_slice(&volume.read_file(&entry, 1 << 20).unwrap()).unwrap();
    assert_eq!(found, recipe(), "{name}");
}

#[test]
fn a_job_on_a_machine_of_every_vendor() {
    std::thread::scope(|scope| {
        for personality in PERSONALITIES {
            scope.spawn(move || {
                // Not a multiple of the block size.
                let (job, boots, _process) = provision(personality, &bytes(300_001));
                let name = personality.name;
                let from_cd = boots.iter().filter(|boot| boot.source != Source::Disk).count();
                assert_eq!((from_cd, boots.len()), (1, 2), "{name}: {boots:?} {job:#}");
                assert_eq!(boots.last().map(|boot| &boot.source), Some(&Source::Disk), "{name}");
                let events = job["events"].to_string();
                let refused = name == "idrac-one-medium";
                assert_eq!(
                    events.contains("inserting the combined image instead"),
                    refused,
                    "{events}"
                );
            });
        }
    });
}
