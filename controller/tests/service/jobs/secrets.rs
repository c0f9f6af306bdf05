// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A BMC whose messages contain secrets.

use controller::jobs::model::State;

use super::world::{HostBehaviour, PASSWORD, TOKEN, begin};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bmc_repeats_of_secrets_reaches_no_event() {
    let (_folder, _world, controller, job) = begin(HostBehaviour::Talkative).await;
    let job = controller.wait_until(job.id, |job| job.state == State::Complete).await;
    let events = controller.events(job.id).await;
    controller.stop().await;
    let failure = job.failure.unwrap();
    let reports: Vec<_> = events.iter().filter(|event| event.message.contains("sorry")).collect();
    // Progress messages and failures, at mount and clean-up.
    assert_eq!(reports.len(), 4, "{events:?}");
    for text in events.iter().map(|event| &event.message).chain([&failure]) {
        for secret in [TOKEN, PASSWORD, &TOKEN[..20]] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.len() < 20_000, "{} bytes", text.len());
    }
}
