// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use proptest::prelude::*;

use super::*;
use crate::channels::{Located, RecordMetadata, Yank};
use crate::{Architecture, Image, Source};

fn manifest(version: &str, kind: Channel) -> Manifest {
    let source = Source {
        uri: "https://example/source".to_owned(),
        commit: "c0ffee".to_owned(),
        dirty: false,
    };
    let mut manifest =
        Manifest::new("product".to_owned(), version.to_owned(), kind, source, 1_700_000_000);
    manifest.images.push(Image {
        repository: "tools/a".to_owned(),
        layout: "images/tools/a".to_owned(),
        digest: digest('1'),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        architectures: vec![Architecture::Amd64],
        tags: vec![format!("v{version}")],
    });
    manifest
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn eligible(version: &str) -> EligibleRelease {
    let kind = kind_of(&version.parse().unwrap()).unwrap();
    EligibleRelease::new(&manifest(version, kind), digest('2')).unwrap()
}

fn metadata() -> RecordMetadata {
    RecordMetadata { by: "somebody".to_owned(), time: 1_700_000_100, lifetime: 60 }
}

/// A record in which these releases were promoted, one after the other.
fn record(promotions: &[(&str, &str)]) -> ChannelRecord {
    let mut record = ChannelRecord::next("product", None, None, &metadata());
    for (version, channel) in promotions {
        let release = eligible(version);
        let channels = release.promote(Some(&record), channel.parse().unwrap()).unwrap();
        drop(release.enter(&mut record, &channels));
    }
    record
}

fn points(record: &ChannelRecord) -> Vec<String> {
    record.channels.iter().map(|(name, entry)| format!("{name}={}", entry.version)).collect()
}

#[test]
fn each_kind_enters_its_own_channels_alone() {
    for (version, accepted) in [
        ("1.4.0", &["edge", "stable", "latest", "1.4"][..]),
        ("1.4.0-rc.1", &["edge", "candidate"]),
        ("1.4.0-snapshot.c0ffee", &["edge"]),
    ] {
        for channel in ["edge", "candidate", "stable", "latest", "1.4", "1.5"] {
            let entered = eligible(version).promote(None, channel.parse().unwrap());
            assert_eq!(entered.is_ok(), accepted.contains(&channel), "{version} to {channel}");
        }
    }
}

#[test]
fn stable_latest_and_the_minor_line_move_together() {
    let now = record(&[("1.4.0-rc.1", "candidate"), ("1.4.0", "stable")]);
    assert_eq!(points(&now), ["candidate=1.4.0-rc.1", "stable=1.4.0", "latest=1.4.0", "1.4=1.4.0"]);
    let other = record(&[("1.4.0", "latest")]);
    assert_eq!(points(&other), ["stable=1.4.0", "latest=1.4.0", "1.4=1.4.0"]);
}

#[test]
fn a_patch_of_an_older_line_moves_its_line_alone() {
    let mut now = record(&[("1.4.0", "stable"), ("1.5.0", "stable")]);
    let patch = eligible("1.4.1");
    for channel in [ChannelName::Stable, ChannelName::Latest] {
        let refused = patch.promote(Some(&now), channel).unwrap_err();
        assert!(refused.to_string().contains("has a channel of its own, 1.4"), "{refused}");
    }
    let line = ChannelName::minor_of(patch.version());
    let moved = patch.promote(Some(&now), line).unwrap();
    drop(patch.enter(&mut now, &moved));
    assert_eq!(points(&now), ["stable=1.5.0", "latest=1.5.0", "1.4=1.4.1", "1.5=1.5.0"]);
    // A line that is ahead of `stable` does not go back with it.
    let mut ahead = record(&[("1.5.0", "stable"), ("1.5.2", "1.5")]);
    let release = eligible("1.5.1");
    let moved = release.promote(Some(&ahead), ChannelName::Stable).unwrap();
    drop(release.enter(&mut ahead, &moved));
    assert_eq!(points(&ahead), ["stable=1.5.1", "latest=1.5.1", "1.5=1.5.2"]);
}

#[test]
fn candidates_follow_their_numbers_and_snapshots_their_commits() {
    let now = record(&[("1.4.0-rc.9", "candidate"), ("1.4.0-snapshot.a", "edge")]);
    eligible("1.4.0-rc.10").promote(Some(&now), ChannelName::Candidate).unwrap();
    eligible("1.4.0-rc.8").promote(Some(&now), ChannelName::Candidate).unwrap_err();
    let mut older = manifest("1.4.0-snapshot.b", Channel::Snapshot);
    older.epoch -= 1;
    let older = EligibleRelease::new(&older, digest('3')).unwrap();
    older.promote(Some(&now), ChannelName::Edge).unwrap_err();
    assert_eq!(older.roll_back(Some(&now), ChannelName::Edge).unwrap(), [ChannelName::Edge]);
}

#[test]
fn a_rollback_leads_to_an_older_release_and_takes_the_line_along() {
    let now = record(&[("1.4.2", "stable"), ("1.5.0", "stable"), ("1.5.1", "stable")]);
    let line = |minor| ChannelName::Minor { major: 1, minor };
    let names = |version: &str| eligible(version).roll_back(Some(&now), ChannelName::Stable);
    assert_eq!(names("1.5.0").unwrap(), [ChannelName::Stable, ChannelName::Latest, line(5)]);
    // 1.4 points to 1.4.2 already, or to something newer in its line.
    assert_eq!(names("1.4.2").unwrap(), [ChannelName::Stable, ChannelName::Latest]);
    assert!(matches!(names("1.5.1").unwrap_err(), Refusal::NotOlder { .. }));
    assert!(matches!(names("1.6.0").unwrap_err(), Refusal::NotOlder { .. }));
    assert!(matches!(
        eligible("1.4.0-rc.1").roll_back(Some(&now), ChannelName::Candidate).unwrap_err(),
        Refusal::Empty(_)
    ));
}

#[test]
fn a_yanked_release_enters_nothing() {
    let mut now = record(&[("1.4.0", "stable")]);
    let yank = Yank { reason: "it burns".to_owned(), since: 1, by: "somebody".to_owned() };
    now.yanked.insert("1.4.1".parse().unwrap(), yank);
    let refused = eligible("1.4.1").promote(Some(&now), ChannelName::Stable).unwrap_err();
    assert_eq!(refused.to_string(), "1.4.1 was yanked: it burns");
}

#[test]
fn what_is_no_release_of_a_commit_enters_nothing() {
    let digest = || digest('2');
    let mut dirty = manifest("1.4.0-snapshot.a", Channel::Snapshot);
    dirty.source.dirty = true;
    assert!(matches!(EligibleRelease::new(&dirty, digest()), Err(Refusal::Dirty(_))));
    let mut test = manifest("1.4.0", Channel::Stable);
    test.images.first_mut().unwrap().repository = "ci/linux".to_owned();
    assert!(matches!(EligibleRelease::new(&test, digest()), Err(Refusal::TestArtifact(_))));
    for (version, kind) in [
        ("1.4.0-snapshot.a", Channel::Stable),
        ("1.4.0-rc.1", Channel::Stable),
        ("1.4.0", Channel::Candidate),
        ("1.4", Channel::Stable),
        ("1.4.0-rc.x", Channel::Candidate),
        ("1.4.0+build", Channel::Stable),
    ] {
        let refused = EligibleRelease::new(&manifest(version, kind), digest());
        assert!(matches!(refused, Err(Refusal::Version { .. })), "{version}");
    }
}

#[test]
fn an_image_that_the_new_release_lacks_loses_its_tag() {
    let mut now = record(&[("1.4.0", "stable")]);
    let mut next = manifest("1.5.0", Channel::Stable);
    next.images.first_mut().unwrap().repository = "tools/b".to_owned();
    let next = EligibleRelease::new(&next, digest('4')).unwrap();
    let moves = next.enter(&mut now, &[ChannelName::Stable]);
    let moves: Vec<_> = moves.iter().map(|it| (it.repository.as_str(), it.to.is_some())).collect();
    assert_eq!(moves, [("tools/a", false), ("tools/b", true), ("release", true)]);
}

#[test]
fn a_record_reads_back_and_numbers_grow() {
    let first = record(&[("1.4.0", "stable")]);
    let text = first.to_json().unwrap();
    assert_eq!(ChannelRecord::parse(text.as_bytes()).unwrap(), first);
    let located = Located { record: first.clone(), digest: digest('5') };
    let next = ChannelRecord::next("product", Some(&located), Some(7), &metadata());
    assert_eq!((next.number, next.previous.as_deref()), (8, Some(digest('5').as_str())));
    assert_eq!(next.channels, first.channels);
    for (from, to) in [
        ("channels/v1", "channels/v2"),
        ("\"1.4.0\"", "\"1.4.0-rc.1\""),
        ("\"1.4\": {", "\"01.4\": {"),
        ("\"number\"", "\"extra\": 1, \"number\""),
    ] {
        assert!(text.contains(from), "{from}");
        ChannelRecord::parse(text.replace(from, to).as_bytes()).unwrap_err();
    }
}

proptest! {
    /// Whatever is promoted in whatever order, `stable` and `latest` agree and never go back.
    #[test]
    fn stable_never_goes_back(versions in prop::collection::vec((0_u64..3, 0_u64..3, any::<bool>()), 1..12)) {
        let mut now = ChannelRecord::next("product", None, None, &metadata());
        for (minor, patch, to_line) in versions {
            let before = now.channels.get(&ChannelName::Stable).map(|it| it.version.clone());
            let release = eligible(&format!("1.{minor}.{patch}"));
            let line = ChannelName::minor_of(release.version());
            let name = if to_line { line } else { ChannelName::Stable };
            if let Ok(channels) = release.promote(Some(&now), name) {
                drop(release.enter(&mut now, &channels));
            }
            let version = |name| now.channels.get(&name).map(|it: &Entry| it.version.clone());
            prop_assert!(version(ChannelName::Stable) >= before);
            prop_assert_eq!(version(ChannelName::Stable), version(ChannelName::Latest));
        }
    }

    #[test]
    fn names_are_read_as_they_are_written(text in "[a-z0-9.]{0,8}") {
        if let Ok(name) = text.parse::<ChannelName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(ChannelRecord::parse(&bytes));
    }
}
