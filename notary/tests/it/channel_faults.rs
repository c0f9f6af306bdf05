// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Changes of channels, and retention, with a fault at each call in turn.

use std::collections::BTreeMap;
use std::thread;

use crate::mock_registry::{Failure, Fault, Registry, State};
use crate::site::{LATER, Site};
use crate::support::{IMAGE, expect_failure, expect_success};

const CHANNELS: [&str; 4] = ["stable", "latest", "1.4", "1.5"];

type Tags = Vec<BTreeMap<String, String>>;

fn tags(state: &State) -> Tags {
    CHANNELS.map(|name| state.channel(name)).into()
}

/// A site whose `stable` is 1.4.0, and has 1.5.0 too; with what its registry has.
fn site() -> (Site, State) {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    site.publish("1.4.0");
    site.publish("1.5.0");
    expect_success(&site.place().change("promote 1.4.0 --to stable"));
    let state = registry.state().clone();
    (site, state)
}

/// Runs `words` with a fault at every call, on registries with the content `before`, and again without. No tag
/// may move before the journal is there; in the end, all are as if there had been no fault.
fn with_a_fault_at_each_call(site: &Site, before: &State, words: &str) {
    let reference = Registry::start(true);
    *reference.state() = before.clone();
    reference.fail(Fault::None);
    expect_success(&site.place_at(&reference.address).change(words));
    // One guard at a time: both in one statement would wait for each other.
    let calls = reference.state().calls.clone();
    let after = tags(&reference.state());
    let journal = calls
        .iter()
        .position(|it| it.ends_with("/channels/manifests/pending") && it.starts_with("PUT"));
    let (journal, first) = (journal.unwrap(), tags(before));
    assert_ne!(first, after);
    let moved = |it: &String| {
        it.starts_with("PUT") && it.contains("/manifests/") && !it.contains("/channels/")
    };
    assert!(!calls[..journal].iter().any(moved), "a tag moves before the journal");
    // The calls that verify the release only read, and are alike: every fortieth is a sample of them. Each later
    // call fails once for good and once in passing; the kinds take turns.
    let verified = calls.iter().rposition(|it| it.contains("/blobs/") && it.starts_with("GET"));
    let verified = verified.unwrap();
    let faults: Vec<_> = (0..calls.len())
        .filter(|n| *n > verified || n.is_multiple_of(40))
        .flat_map(|n| {
            let lasting = if n.is_multiple_of(2) { Fault::Only(n) } else { Fault::From(n) };
            let kinds = [Failure::Busy, Failure::Dropped, Failure::Lost, Failure::Status(500)];
            [lasting, Fault::Once(n, kinds[n % kinds.len()])]
        })
        .collect();
    // Each run of notary waits for the registry most of the time.
    let share = faults.len().div_ceil(24);
    thread::scope(|scope| {
        for faults in faults.chunks(share) {
            let (first, after) = (&first, &after);
            scope.spawn(move || {
                let registry = Registry::start(true);
                let place = site.place_at(&registry.address);
                for fault in faults {
                    *registry.state() = before.clone();
                    registry.fail(*fault);
                    let output = place.change(words);
                    let lasts = matches!(fault, Fault::Only(_) | Fault::From(_));
                    let deletes = |it: &String| it.starts_with("DELETE");
                    let n = match fault {
                        Fault::Only(n) | Fault::From(n) | Fault::Once(n, _) => *n,
                        _ => unreachable!(),
                    };
                    let optional = calls_at(&registry, n).as_ref().is_some_and(deletes);
                    assert_eq!(
                        output.status.success(),
                        !lasts || optional,
                        "{fault:?}: {output:?}"
                    );
                    if lasts && n <= journal {
                        assert_eq!(&tags(&registry.state()), first, "{fault:?}");
                    }
                    registry.fail(Fault::None);
                    let output = place.change_at(words, LATER);
                    // A rollback that was made already leads to nothing older.
                    assert!(
                        output.status.success() || words.starts_with("rollback"),
                        "{fault:?}: {output:?}"
                    );
                    assert_eq!(&tags(&registry.state()), after, "{fault:?}");
                    assert!(place.channels().1, "{fault:?}");
                }
            });
        }
    });
}

fn calls_at(registry: &Registry, n: usize) -> Option<String> {
    registry.state().calls.get(n).cloned()
}

#[test]
#[ignore = "minutes: two runs of notary for each call"]
fn a_fault_at_any_call_of_a_promotion_is_made_good_by_the_next_run() {
    let (site, before) = site();
    with_a_fault_at_each_call(&site, &before, "promote 1.5.0 --to stable");
}

#[test]
#[ignore = "minutes: two runs of notary for each call"]
fn a_fault_at_any_call_of_a_rollback_is_made_good_by_the_next_run() {
    let (site, before) = site();
    let registry = Registry::start(true);
    *registry.state() = before;
    expect_success(&site.place_at(&registry.address).change("promote 1.5.0 --to stable"));
    let before = registry.state().clone();
    with_a_fault_at_each_call(&site, &before, "rollback stable --to 1.4.0");
}

#[test]
fn a_change_that_cannot_be_finished_is_undone() {
    let (site, before) = site();
    let registry = Registry::start(true);
    let place = site.place_at(&registry.address);
    *registry.state() = before.clone();
    registry.fail(Fault::None);
    expect_success(&place.change("promote 1.5.0 --to stable"));
    let calls = registry.state().calls.clone();
    let second = calls.iter().enumerate().filter(|(_, it)| {
        it.starts_with("PUT") && it.contains("/manifests/") && !it.contains("/channels/")
    });
    let second = second.map(|(n, _)| n).nth(1).unwrap();

    *registry.state() = before.clone();
    registry.fail(Fault::From(second));
    assert!(!place.change("promote 1.5.0 --to stable").status.success());
    assert_ne!(tags(&registry.state()), tags(&before));
    registry.fail(Fault::None);
    // The release that the change leads to is gone.
    let release =
        registry.state().tags[&("product/release".to_owned(), "v1.5.0".to_owned())].clone();
    registry.state().manifests.remove(&("product/release".to_owned(), release));
    // Perhaps it is not over.
    let halfway = tags(&registry.state());
    let message = expect_failure(&place.change("yank 1.5.0 --reason burns"));
    assert!(
        message.contains("may be in progress")
            && message.contains("again after 2099-01-01T00:10:00Z"),
        "{message}"
    );
    assert_eq!(tags(&registry.state()), halfway);
    expect_success(&place.change_at("refresh-channels", LATER));
    assert_eq!(tags(&registry.state()), tags(&before));
    let (report, good) = place.channels();
    assert!(good, "{report:#}");
    // The number of the record that was rolled back is not used again.
    assert_eq!(report["record"]["number"], 3);
}

#[test]
fn a_change_never_replaces_one_that_was_completed_meanwhile() {
    let (site, before) = site();
    let [registry, other] = [(); 2].map(|()| Registry::start(true));
    let place = site.place_at(&registry.address);
    *other.state() = before.clone();
    expect_success(&site.place_at(&other.address).change("yank 1.4.0 --reason burns"));
    let yanked = other.state().clone();
    for (words, last) in
        [("refresh-channels", "/channels/manifests/n2"), ("promote 1.5.0 --to stable", "/stable")]
    {
        *registry.state() = before.clone();
        registry.fail(Fault::None);
        expect_success(&place.change(words));
        let calls = registry.state().calls.clone();
        let is_last = |it: &String| it.starts_with("PUT") && it.ends_with(last);
        let last = calls.iter().position(is_last).unwrap();
        *registry.state() = before.clone();
        registry.fail(Fault::None);
        registry.state().meanwhile = Some((last, Box::new(yanked.clone())));
        let message = expect_failure(&place.change(words));
        assert!(message.contains("another change of the channels was completed"), "{message}");
        let current = ("product/channels".to_owned(), "current".to_owned());
        assert_eq!(registry.state().tags[&current], yanked.tags[&current], "{words}");
    }
}

/// What clients need of the channels and of the newest release is there.
fn is_whole(state: &State, before: &State) {
    for (key, digest) in &before.tags {
        let (repository, tag) = key;
        if CHANNELS.contains(&tag.as_str()) || tag == "v1.5.0" {
            assert_eq!(state.tags.get(key), Some(digest), "{key:?}");
            assert!(state.manifests.contains_key(&(repository.clone(), digest.clone())), "{key:?}");
            let signature = (repository.clone(), format!("{}.sig", digest.replace(':', "-")));
            assert_eq!(state.tags.get(&signature), before.tags.get(&signature), "{key:?}");
        }
    }
}

#[test]
#[ignore = "a minute: two runs of notary for each call"]
fn a_fault_at_any_call_of_retention_leaves_what_is_needed() {
    with_a_fault_in_retention(1);
}

#[test]
fn a_fault_at_some_calls_of_retention_leaves_what_is_needed() {
    with_a_fault_in_retention(97);
}

/// Injects every `step`th of the faults at each call.
fn with_a_fault_in_retention(step: usize) {
    let registry = Registry::start(true);
    let site = Site::new(&registry.address);
    for version in ["1.3.0", "1.3.1", "1.5.0"] {
        site.publish(version);
    }
    expect_success(&site.place().change("promote 1.5.0 --to stable"));
    let before = registry.state().clone();
    let words = "--apply --tools 1";
    registry.fail(Fault::None);
    expect_success(&site.place().retention(words));
    let calls = registry.state().calls.clone();
    let tags = registry.state().tags.clone();
    let manifests = registry.state().manifests.clone();
    let image = |tag: &str| (format!("product/{IMAGE}"), tag.to_owned());
    assert!(!tags.contains_key(&image("v1.3.1")) && tags.contains_key(&image("v1.5.0")));
    let first = calls.iter().position(|it| it.starts_with("DELETE")).unwrap();
    assert!(calls[..first].iter().all(|it| it.starts_with("GET") || it.starts_with("HEAD")));
    // HEAD: whether a tag is gone with its manifest.
    let then = ["DELETE", "HEAD"];
    assert!(
        calls[first..].iter().all(|it| then.iter().any(|method| it.starts_with(method))),
        "{calls:#?}"
    );
    let mut faults = Vec::new();
    for n in (0..calls.len()).filter(|n| *n >= first || n.is_multiple_of(8)) {
        let passing = [Failure::Busy, Failure::Status(500), Failure::Dropped, Failure::Lost];
        let passing = passing.into_iter().enumerate();
        let passing = passing.filter(|(kind, _)| n >= first || n % 16 == 4 * kind);
        let passing = passing.map(|(_, it)| Fault::Once(n, it));
        let of_call = [Fault::Only(n), Fault::From(n)].into_iter().chain(passing);
        faults.extend(of_call.map(|fault| (n, fault)));
    }
    for (n, fault) in faults.into_iter().step_by(step) {
        *registry.state() = before.clone();
        registry.fail(fault);
        let output = site.place().retention(words);
        if n < first && !output.status.success() {
            assert_eq!(registry.state().tags, before.tags, "{fault:?}");
        }
        is_whole(&registry.state(), &before);
        registry.fail(Fault::None);
        expect_success(&site.place().retention(words));
        is_whole(&registry.state(), &before);
        assert_eq!(registry.state().tags, tags, "{fault:?}");
        // A child whose index went just before it is left to the registry; here, there is none.
        assert_eq!(registry.state().manifests, manifests, "{fault:?}");
    }
    expect_success(&site.place().verify("1.5.0"));
}
