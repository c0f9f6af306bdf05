// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The life of releases: candidate, stable, a patch of an older line, rollback, yank, retention, a mirror,
//! and verification without a network; in three registries, two of them of others. After each step,
//! other clients read the result.

mod judges;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use judges::{Judges, Page, offline};
use release::layout;
use serde_json::Value;
use test_support::{Distribution, Registry};

use crate::packages;
use crate::site::{Site, expect_code, kind};
use crate::support::{BINARY, IMAGE, Release, expect_failure, expect_success, notary};

/// Changes of channels in order, and where they point afterwards. A release is published right before its
/// promotion.
const CHANGES: [(&str, &str); 8] = [
    ("promote 1.4.0-rc.1 --to candidate", "candidate=1.4.0-rc.1"),
    ("promote 1.4.0-rc.2 --to candidate", "candidate=1.4.0-rc.2"),
    ("promote 1.4.0 --to stable", "1.4=1.4.0 candidate=1.4.0-rc.2 latest=1.4.0 stable=1.4.0"),
    (
        "promote 1.5.0 --to stable",
        "1.4=1.4.0 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.5.0 stable=1.5.0",
    ),
    (
        "promote 1.4.1 --to 1.4",
        "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.5.0 stable=1.5.0",
    ),
    (
        "promote 1.5.1 --to latest",
        "1.4=1.4.1 1.5=1.5.1 candidate=1.4.0-rc.2 latest=1.5.1 stable=1.5.1",
    ),
    ("rollback stable", "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.5.0 stable=1.5.0"),
    (
        "promote 1.6.0-snapshot.a --to edge",
        "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 edge=1.6.0-snapshot.a latest=1.5.0 stable=1.5.0",
    ),
];

/// The version that the package managers are offered when all releases up to this one are published.
const OFFERED: [(&str, &str); 4] =
    [("1.4.0", "1.4.0"), ("1.5.0", "1.5.0"), ("1.4.1", "1.5.0"), ("1.5.1", "1.5.1")];

/// Changes that are refused after all of these, and why.
const REFUSED: [(&str, &str); 8] = [
    ("promote 1.4.1 --to stable", "an older line has a channel of its own, 1.4"),
    ("promote 1.6.0-snapshot.a --to stable", "does not enter stable"),
    ("promote 1.6.0-snapshot.a --to candidate", "does not enter candidate"),
    ("promote 1.4.0-rc.2 --to 1.4", "does not enter 1.4"),
    ("promote 1.5.1 --to 1.4", "is not of the line"),
    ("promote 9.9.9 --to stable", "9.9.9"),
    ("rollback stable --to 1.5.1", "leads to an older release"),
    ("rollback edge", "had no older release"),
];

/// A registry under test, with releases.
struct LifecycleTest {
    site: Site,
    judges: Judges,
    page: Option<Page>,
    /// Digest of the image of each release.
    images: BTreeMap<String, String>,
}

impl LifecycleTest {
    fn new(address: &str) -> Self {
        let site = Site::new(address);
        let judges = Judges::find(site.key.public());
        Self { site, judges, page: Page::new(), images: BTreeMap::new() }
    }

    /// The image at the tag `tag`.
    fn image(&self, tag: &str) -> String {
        format!("{}/{IMAGE}:{tag}", self.site.registry)
    }

    /// Publishes a release to the registry, and a stable one to the page.
    fn publish(&mut self, version: &str) {
        let packages = [packages::deb, packages::rpm].map(|write| write(version));
        let packages = self.page.is_some().then_some(packages);
        let release = Release::version(version, kind(version), packages);
        self.site.publish_folder(&release);
        let digest = release.manifest().images[0].digest.clone();
        self.judges.resolve(&self.image(&layout::tag(version)), Some(&digest));
        self.judges.accept(&self.image(&layout::tag(version)));
        expect_success(&self.site.place().verify(version));
        self.images.insert(version.to_owned(), digest);
        let offered = OFFERED.iter().find(|(published, _)| *published == version);
        if let (Some(page), Some((_, offered))) = (&self.page, offered) {
            page.change(&["--release", release.root().to_str().unwrap()]);
            page.offer(offered);
        }
    }

    /// Every tag of a channel leads to its release, as the record states.
    fn expect(&self, points: &str) {
        assert_eq!(self.site.place().points(), points);
        self.judges.point(&self.site.registry, points);
        for entry in points.split(' ') {
            let (channel, version) = entry.split_once('=').unwrap();
            self.judges.resolve(&self.image(channel), Some(&self.images[version]));
        }
    }

    fn change_channels(&mut self) {
        let mut before = String::new();
        let state = self.site.state();
        for (words, points) in CHANGES {
            if let Some(version) =
                words.strip_prefix("promote ").and_then(|it| it.split(' ').next())
            {
                self.publish(version);
                if !before.is_empty() {
                    // Publishing moves no channel.
                    assert_eq!(self.site.place().points(), before, "{version}");
                }
            }
            let here = self.site.place();
            expect_success(&here.change(words));
            self.expect(points);
            if points.contains("stable=") {
                assert!(
                    expect_code(&here.follow("stable", &state), 0).contains("VERIFIED"),
                    "{words}"
                );
            }
            // The same again changes nothing.
            if words.starts_with("promote") {
                assert!(expect_success(&here.change(words)).contains("already"), "{words}");
            }
            points.clone_into(&mut before);
        }
        for (words, reason) in REFUSED {
            let message = expect_failure(&self.site.place().change(words));
            assert!(message.contains(reason), "{words}: {message}");
        }
        self.expect(&before);
    }

    /// A yanked release enters no channel, is not verified and not installed.
    fn yank(&self) {
        let here = self.site.place();
        expect_success(&here.verify("1.5.1"));
        expect_success(&here.change("yank 1.5.1 --reason burns"));
        assert!(expect_code(&here.verify("1.5.1"), 1).contains("yanked by tester: burns"));
        assert!(
            expect_failure(&here.change("promote 1.5.1 --to stable")).contains("was yanked: burns")
        );
        expect_success(&here.verify("1.5.0"));
        if let Some(page) = &self.page {
            page.change(&["--yank", "1.5.1", "--reason", "burns", "--by", "tester"]);
            page.offer("1.5.0");
        }
        expect_success(&here.change("rollback stable --to 1.4.1"));
        self.expect(
            "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 edge=1.6.0-snapshot.a latest=1.4.1 stable=1.4.1",
        );
        let (report, _) = here.channels();
        let numbers = report["history"].as_array().unwrap().iter().map(|it| it["number"].as_u64());
        assert!(numbers.rev().eq((1..=10).map(Some)), "{report:#}");
    }

    /// Retention deletes images that no channel needs, with all that belongs to them, and nothing else.
    fn prune(&self) {
        const RULES: &str = "--tools 1 --candidates 1 --edge-days 0";
        let here = self.site.place();
        let plan = expect_success(&here.retention(&format!("--plan {RULES} --json")));
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let tags = &plan["repositories"]["tools/example"]["tags"];
        let gone = tags.as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        let gone: Vec<_> = gone.filter(|it| !it.starts_with("sha256-")).collect();
        assert_eq!(gone, ["v1.4.0", "v1.4.0-rc.1"]);
        expect_success(&here.retention(&format!("--apply {RULES}")));
        for (version, digest) in &self.images {
            let tag = layout::tag(version);
            let is_gone = gone.contains(&tag.as_str());
            self.judges.resolve(&self.image(&tag), (!is_gone).then_some(digest));
            if is_gone {
                assert!(!here.verify(version).status.success(), "{version}");
            } else if version != "1.5.1" {
                expect_success(&here.verify(version));
                self.judges.accept(&self.image(&tag));
            }
            let repository = format!("{}/{IMAGE}", self.site.registry);
            if let Some(tags) = self.judges.tags(&repository) {
                // A registry without a referrers API has tags of digests.
                let attached = format!("sha256-{}", digest.trim_start_matches("sha256:"));
                let left = tags.lines().any(|it| it == tag || it.starts_with(&attached));
                assert!(!(is_gone && left), "{version}: {tags}");
            }
        }
        assert!(here.channels().1);
        let rest = expect_success(&here.retention(&format!("--plan {RULES}")));
        assert!(rest.contains("0 manifests of 0 repositories"), "{rest}");
    }

    /// Copies a release to another registry, and from there to a folder where there is no network.
    fn carry_away(&self, mirror: &str) {
        let version = "1.5.0";
        let copy = || {
            let mut copy = notary();
            copy.args(["copy", "--json", "--to", &format!("http://{mirror}/product"), "--from"]);
            copy.arg(format!("http://{}:{version}", self.site.registry));
            let report = expect_success(&copy.output().unwrap());
            serde_json::from_str::<Value>(&report).unwrap()
        };
        let uploaded = |report: &Value| {
            ["blobs", "manifests"].map(|it| report[it]["uploaded"].as_u64().unwrap())
        };
        assert!(uploaded(&copy()).iter().all(|it| *it > 0));
        let again = copy();
        assert_eq!((uploaded(&again), again["tags"]["set"].as_u64()), ([0, 0], Some(0)), "{again}");
        expect_success(&self.site.place_at(mirror).verify(version));
        let image = format!("{mirror}/product/{IMAGE}:{}", layout::tag(version));
        self.judges.resolve(&image, Some(&self.images[version]));
        self.judges.accept(&image);

        let folder = tempfile::tempdir().unwrap();
        let [bundle, release] = ["bundle.tar", "release"].map(|it| folder.path().join(it));
        let mut command = notary();
        command.args(["bundle", "--from", &format!("http://{mirror}/product:{version}"), "--to"]);
        expect_success(&command.arg(&bundle).output().unwrap());
        let mut unbundle = offline(Path::new(env!("CARGO_BIN_EXE_notary")));
        unbundle.arg("unbundle").arg(&bundle).arg("--release").arg(&release);
        expect_success(&unbundle.output().unwrap());
        self.judges
            .accept_file_offline(&release.join(BINARY), &release.join(layout::signature(BINARY)));
        let Some(controller) = test_support::controller() else { return };
        let verify = || {
            let mut verify = offline(&controller);
            verify.args(["verify-release", "--release"]).arg(&release);
            verify.arg("--key").arg(self.site.key.public()).output().unwrap()
        };
        assert!(expect_code(&verify(), 0).ends_with("\nVERIFIED\n"));
        fs::write(release.join(BINARY), "changed on the way").unwrap();
        let report = expect_code(&verify(), 1);
        assert!(report.contains(BINARY) && report.ends_with("\nREJECTED\n"), "{report}");
    }
}

/// Takes releases through their lives in one registry; `mirror` is another one.
fn live(registry: Option<Registry>, mirror: Option<Registry>) {
    let (Some(registry), Some(mirror)) = (registry, mirror) else { return };
    if test_support::find("unshare").is_none() {
        return;
    }
    let usable = offline(Path::new("true")).stderr(Stdio::null()).status().unwrap().success();
    if !test_support::machine_gives("user namespaces", usable) {
        return;
    }
    let mut life = LifecycleTest::new(&registry.address);
    life.change_channels();
    life.yank();
    life.prune();
    life.carry_away(&mirror.address);
}

#[test]
fn docker_registry_serves_releases_for_life() {
    live(Registry::distribution(Distribution::default()), Registry::controller());
}

#[test]
#[ignore = "a minute: the nightly pipeline runs it"]
fn go_containerregistry_serves_releases_for_life() {
    live(Registry::go_containerregistry(), Registry::controller());
}

#[test]
#[ignore = "a minute: the nightly pipeline runs it"]
fn the_embedded_registry_serves_releases_for_life() {
    let mirror = Registry::distribution(Distribution::default());
    live(Registry::controller(), mirror.or_else(Registry::controller));
}
