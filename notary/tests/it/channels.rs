// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The life of a release in a registry: candidate, stable, a patch of an older line, rollback, withdrawal,
//! retention; in registries of others too.

use test_support::{Distribution, assert_contains};

use crate::mock_registry::Registry;
use crate::site::{Site, expect_code};
use crate::support::{IMAGE, expect_failure, expect_success};

/// Publishes releases, and moves channels through all of it. Every step ends with tags that agree with the record.
fn lifecycle(address: &str) {
    let site = Site::new(address);
    for version in ["1.4.0-rc.1", "1.4.0", "1.4.1", "1.5.0", "1.5.1", "1.6.0-snapshot.a"] {
        site.publish(version);
    }
    let here = site.place();
    let state = site.state();
    for (words, expected) in [
        ("promote 1.4.0-rc.1 --to candidate", "candidate=1.4.0-rc.1"),
        ("promote 1.4.0 --to stable", "1.4=1.4.0 candidate=1.4.0-rc.1 latest=1.4.0 stable=1.4.0"),
        (
            "promote 1.5.0 --to stable",
            "1.4=1.4.0 1.5=1.5.0 candidate=1.4.0-rc.1 latest=1.5.0 stable=1.5.0",
        ),
        (
            "promote 1.4.1 --to 1.4",
            "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.1 latest=1.5.0 stable=1.5.0",
        ),
        (
            "promote 1.5.1 --to latest",
            "1.4=1.4.1 1.5=1.5.1 candidate=1.4.0-rc.1 latest=1.5.1 stable=1.5.1",
        ),
        ("rollback stable", "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.1 latest=1.5.0 stable=1.5.0"),
        (
            "promote 1.6.0-snapshot.a --to edge",
            "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.1 edge=1.6.0-snapshot.a latest=1.5.0 stable=1.5.0",
        ),
    ] {
        expect_success(&here.change(words));
        assert_eq!(here.points(), expected, "{words}");
        if expected.contains("stable=") {
            assert!(expect_code(&here.follow("stable", &state), 0).contains("VERIFIED"), "{words}");
        }
        // The same again changes nothing.
        if words.starts_with("promote") {
            assert!(expect_success(&here.change(words)).contains("already"), "{words}");
        }
    }
    for (words, reason) in [
        ("promote 1.4.1 --to stable", "an older line has a channel of its own, 1.4"),
        ("promote 1.6.0-snapshot.a --to stable", "does not enter stable"),
        ("promote 1.6.0-snapshot.a --to candidate", "does not enter candidate"),
        ("promote 1.4.0-rc.1 --to 1.4", "does not enter 1.4"),
        ("promote 1.5.1 --to 1.4", "is not of the line"),
        ("promote 9.9.9 --to stable", "9.9.9"),
        ("rollback stable --to 1.5.1", "leads to an older release"),
        ("rollback candidate", "had no older release"),
    ] {
        let message = expect_failure(&here.change(words));
        assert!(message.contains(reason), "{words}: {message}");
    }
    // What is withdrawn enters nothing, and nobody verifies it.
    expect_success(&here.verify("1.5.1"));
    expect_success(&here.change("yank 1.5.1 --reason burns"));
    assert!(expect_code(&here.verify("1.5.1"), 1).contains("yanked by tester: burns"));
    assert!(
        expect_failure(&here.change("promote 1.5.1 --to stable")).contains("was yanked: burns")
    );
    expect_success(&here.verify("1.5.0"));
    expect_success(&here.change("rollback stable --to 1.4.1"));
    let (report, _) = here.channels();
    let numbers = report["history"].as_array().unwrap().iter().map(|it| it["number"].as_u64());
    assert!(numbers.rev().eq((1..=9).map(Some)), "{report:#}");

    // 1.4.0 and 1.5.1 are pointed to by nothing and are not among the last; the candidate is.
    let plan = expect_success(&here.retention("--plan --tools 1 --edge-days 0 --json"));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let tools = &plan["repositories"]["tools/example"];
    let gone = tools["tags"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let gone: Vec<_> = gone.filter(|it| !it.starts_with("sha256-")).collect();
    assert_eq!(gone, ["v1.4.0"]);
    assert!(plan["repositories"]["release"].is_null());
    expect_success(&here.retention("--apply --tools 1 --edge-days 0"));
    assert!(expect_code(&here.verify("1.4.0"), 1).contains("tools/example"));
    for version in ["1.4.1", "1.5.0", "1.4.0-rc.1", "1.6.0-snapshot.a"] {
        expect_success(&here.verify(version));
    }
    assert!(here.channels().1);
    let rest = expect_success(&here.retention("--plan --tools 1 --edge-days 0"));
    assert!(rest.contains("0 manifests of 0 repositories"), "{rest}");
}

#[test]
fn a_registry_with_the_referrers_api_has_channels() {
    lifecycle(&Registry::start(true).address);
}

#[test]
fn docker_registry_has_channels() {
    let Some(registry) = test_support::Registry::distribution(Distribution::default()) else {
        return;
    };
    lifecycle(&registry.address);
}

#[test]
fn the_embedded_registry_has_channels() {
    let Some(registry) = test_support::Registry::controller() else { return };
    lifecycle(&registry.address);
}

#[test]
fn a_client_notices_a_record_that_is_old_or_not_signed() {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    site.publish("1.4.0");
    site.publish("1.5.0");
    let (here, state) = (site.place(), site.state());
    expect_success(&here.change("promote 1.4.0 --to stable"));
    let old = registry.state().clone();
    expect_success(&here.change("promote 1.5.0 --to stable"));
    assert!(expect_code(&here.follow("stable", &state), 0).contains("1.5.0"));

    // The whole registry as it was before: valid signatures, and the tags agree.
    let new = std::mem::replace(&mut *registry.state(), old);
    assert_contains(
        expect_code(&here.follow("stable", &state), 1),
        "record 1 is older than record 2",
    );
    let fresh = site.state().with_extension("fresh");
    expect_success(&here.follow("stable", &fresh));
    *registry.state() = new;

    // Frozen: nobody has refreshed the record for longer than its lifetime.
    expect_success(&here.change_at("refresh-channels --lifetime 1", "2020-01-01T00:00:00Z"));
    let message = expect_code(&here.follow("stable", &state), 1);
    assert!(message.contains("expired") && message.contains("REJECTED"), "{message}");
    assert!(!here.channels().1);
    expect_success(&here.change("refresh-channels"));
    expect_success(&here.follow("stable", &state));

    // A record of another key.
    let other = Site::new(&registry.address);
    assert_contains(
        expect_code(&other.place().follow("stable", &fresh), 1),
        "signed with another key",
    );
    assert!(
        expect_failure(&other.place().change("refresh-channels"))
            .contains("signed with another key")
    );
    // A state that cannot be read is not taken for one that has seen nothing.
    std::fs::write(&state, "{").unwrap();
    expect_code(&here.follow("stable", &state), 2);
    // No such channel, and a tag that somebody moved by hand.
    assert!(expect_code(&here.follow("candidate", &fresh), 1).contains("has no release"));
    let image = format!("product/{}", IMAGE);
    let older = registry.state().tags[&(image.clone(), "v1.4.0".to_owned())].clone();
    registry.state().tags.insert((image, "stable".to_owned()), older);
    let (report, good) = here.channels();
    assert!(!good && report["deviations"][0]["tag"] == "stable", "{report:#}");
    expect_success(&here.change("promote 1.5.0 --to stable"));
    assert!(here.channels().1);
}

#[test]
fn the_first_change_of_a_new_key_names_the_old_one() {
    let registry = Registry::start(true);
    let old = Site::new(&registry.address);
    old.publish("1.4.0");
    expect_success(&old.place().change("promote 1.4.0 --to stable"));
    let new = Site::new(&registry.address);
    new.publish("1.5.0");
    let words = "promote 1.5.0 --to stable";
    assert!(expect_failure(&new.place().change(words)).contains("signed with another key"));
    let key = old.key.public();
    expect_success(&new.place().change(&format!("{words} --previous-key {}", key.display())));
    assert_eq!(new.place().points(), "1.4=1.4.0 1.5=1.5.0 latest=1.5.0 stable=1.5.0");
    expect_success(&new.place().change("refresh-channels"));
    // Releases of the old key are verified with it as before.
    expect_success(&old.place().verify("1.4.0"));
    // The release of the old key cannot be rolled back to with the new one.
    assert!(expect_failure(&new.place().change("rollback stable")).contains("is not verified"));
}
