// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Garbage collection by the service.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::Service;

#[test]
fn the_service_collects_on_schedule_while_it_serves_pulls() {
    let config = r#"
        [registry.gc]
        schedule = "1s"
        grace = "3s"
        quarantine = "0s"
    "#;
    let service = Service::with(config);
    let client = &service.client;
    let value = |name: &str| -> Option<f64> {
        let page = client.get("/metrics").expect(200).text();
        let line = page.lines().find_map(|it| it.strip_prefix(&format!("{name} ")))?;
        line.parse().ok()
    };
    assert_eq!(value("provisioner_registry_gc_last_run_timestamp_seconds"), None);
    client.push_image("a", "v1", "1");
    client.push_blob("a", b"named by nothing");
    let start = Instant::now();
    while value("provisioner_registry_gc_removed_blobs_total") != Some(1.0) {
        client.get("/v2/a/manifests/v1").expect(200);
        assert!(start.elapsed() < Duration::from_mins(2), "nothing was collected");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(value("provisioner_registry_gc_removed_bytes_total"), Some(16.0));
    assert!(value("provisioner_registry_gc_last_run_timestamp_seconds").unwrap() > 1.7e9);
    assert_eq!(value("provisioner_registry_gc_runs_total{result=\"failed\"}"), Some(0.0));
    client.get("/v2/a/manifests/v1").expect(200);
}
