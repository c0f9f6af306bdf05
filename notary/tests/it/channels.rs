// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Channels of a registry that somebody changed, and of a key that changed. `lifecycle.rs` has the life of
//! releases.
use crate::mock_registry::Registry;
use crate::site::{Site, expect_code};
use crate::support::{IMAGE, expect_failure, expect_success};

#[test]
fn a_client_notices_a_record_that_is_old_or_not_signed() {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    site.publish("1.4.0");
    site.publish("1.5.0");
    let (here, state) = (site.place(), site.state());
    // Frozen: nobody has refreshed the record for longer than its lifetime.
    let past = "2020-01-01T00:00:00Z";
    expect_success(&here.change_at("promote 1.4.0 --to stable --lifetime 1", past));
    let message = expect_code(&here.follow("stable", &state), 1);
    assert!(message.contains("expired") && message.contains("REJECTED"), "{message}");
    let end = "Nothing else was checked: channels.json is not trusted.";
    assert!(message.contains(end), "{message}");
    assert!(!here.channels().1);
    let message = expect_failure(&here.change("refresh-channels"));
    assert!(message.contains("record 1 of the channels expired 2020-01-02"), "{message}");
    expect_success(&here.change("refresh-channels --accept-expired"));
    // The clock of a later change was set back: its record would be expired at once.
    let message = expect_failure(&here.change_at("promote 1.5.0 --to stable", past));
    assert!(message.contains("record 2 of the channels is of 2099"), "{message}");
    let old = registry.state().clone();
    expect_success(&here.change("promote 1.5.0 --to stable"));
    assert!(expect_code(&here.follow("stable", &state), 0).contains("1.5.0"));

    // The whole registry as it was before: valid signatures, and the tags agree.
    let new = std::mem::replace(&mut *registry.state(), old);
    let message = expect_code(&here.follow("stable", &state), 1);
    assert!(message.contains("record 2 is older than record 3"), "{message}");
    let fresh = site.state().with_extension("fresh");
    expect_success(&here.follow("stable", &fresh));
    *registry.state() = new;

    // A record of another key.
    let other = Site::new(&registry.address);
    let message = expect_code(&other.place().follow("stable", &fresh), 1);
    assert!(message.contains("signed with another key"), "{message}");
    assert!(
        expect_failure(&other.place().change("refresh-channels"))
            .contains("signed with another key")
    );
    // A state that cannot be read is not taken for one that has seen nothing.
    std::fs::write(&state, "{").unwrap();
    expect_code(&here.follow("stable", &state), 2);
    // No such channel, and a tag that somebody moved by hand.
    assert!(expect_code(&here.follow("candidate", &fresh), 1).contains("has no release"));
    let image = format!("product/{IMAGE}");
    let older = registry.state().tags[&(image.clone(), "v1.4.0".to_owned())].clone();
    registry.state().tags.insert((image, "stable".to_owned()), older);
    let (report, good) = here.channels();
    assert!(!good && report["deviations"][0]["tag"] == "stable", "{report:#}");
    expect_success(&here.change("promote 1.5.0 --to stable"));
    assert!(here.channels().1);
}

#[test]
fn no_old_record_is_signed_again_and_no_fork_is_followed() {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    site.publish("1.4.0");
    let (here, state) = (site.place(), site.state());
    expect_success(&here.change("promote 1.4.0 --to stable"));
    let place = |name: &str, tag: &str| (format!("product/{name}"), tag.to_owned());
    let first = registry.state().tags[&place("channels", "current")].clone();
    // A yank looks at no more than the tag.
    let release = registry.state().tags[&place("release", "v1.4.0")].clone();
    registry.state().tags.insert(place("release", "v1.5.0"), release);
    let with_state = |words: &str| here.change(&format!("{words} --state {}", state.display()));
    expect_success(&with_state("yank 1.5.0 --reason burns"));
    expect_success(&here.follow("stable", &state));
    registry.state().tags.insert(place("channels", "current"), first);
    let message = expect_failure(&with_state("refresh-channels"));
    assert!(message.contains("record 1 is older than record 2"), "{message}");
    // Without a state, the record that withdraws nothing gets the next numbers.
    for _ in 0..2 {
        expect_success(&here.change("refresh-channels"));
    }
    let fork = "record 3 was not made from record 2, which was seen before";
    assert!(expect_failure(&with_state("refresh-channels")).contains(fork));
    assert!(expect_code(&here.follow("stable", &state), 1).contains(fork));
    // A registry that withholds all records.
    registry.state().tags.retain(|(repository, _), _| repository != "product/channels");
    let message = expect_failure(&with_state("promote 1.4.0 --to stable"));
    assert!(message.contains("has no record of channels"), "{message}");
}

#[test]
fn what_cannot_show_that_a_release_is_withdrawn_is_noted() {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    site.publish("1.4.0");
    let here = site.place();
    let expect_note = |why: &str| {
        let output = expect_code(&here.verify("1.4.0"), 0);
        let note = format!("NOTE whether 1.4.0 was withdrawn was not checked: {why}");
        assert!(output.contains(&note), "{output}");
    };
    let past = "2020-01-01T00:00:00Z";
    expect_note("the registry shows no channels.json");
    expect_success(&here.change("yank 1.4.0 --reason burns --product other"));
    expect_note("channels.json is of the product other, expected provisioner");
    registry.state().tags.retain(|(repository, _), _| repository != "product/channels");
    expect_success(&here.change_at("promote 1.4.0 --to stable --lifetime 1", past));
    expect_note("channels.json, record 1, expired");
    expect_success(&here.change_at("yank 1.4.0 --reason burns --lifetime 1", past));
    assert!(expect_code(&here.verify("1.4.0"), 1).contains("yanked by tester: burns"));
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
    let refresh = format!("refresh-channels --previous-key {}", key.display());
    let message = expect_failure(&new.place().change(&refresh));
    assert!(
        message.contains("points to 1.4.0, which clients that have the new signer"),
        "{message}"
    );
    expect_success(&new.place().change(&format!("{words} --previous-key {}", key.display())));
    assert_eq!(new.place().points(), "1.4=1.4.0 1.5=1.5.0 latest=1.5.0 stable=1.5.0");
    expect_success(&new.place().change("refresh-channels"));
    // Releases of the old key are verified with it as before.
    expect_success(&old.place().verify("1.4.0"));
    // The release of the old key cannot be rolled back to with the new one.
    assert!(expect_failure(&new.place().change("rollback stable")).contains("is not verified"));
}
