// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Access to virtual media images.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use controller::media::{Image, Media, MediaError};

use crate::support::{Service, bytes};

/// Opens the images of a service, with its folder and key.
fn media(service: &Service) -> Arc<Media> {
    Media::open(service.folder().join("data/media")).unwrap()
}

fn in_an_hour() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

#[test]
fn a_signed_address_gives_the_image() {
    let service = Service::start();
    let media = media(&service);
    let image = Image::task("0199-ab").unwrap();
    let content = bytes(700_001);
    media.put(&image, &content).unwrap();
    let address = media.address(&image, in_an_hour()).unwrap();
    assert!(!address.contains(['?', '&']) && address.ends_with("/0199-ab/task.iso"));
    let reply = service.get(&address).expect(200);
    assert!(reply.body == content);
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    assert_eq!(reply.header("etag"), format!("\"{}\"", oci::Digest::sha256(&content).hex()));
    let head = service.head(&address).expect(200);
    assert_eq!(head.header("content-length"), "700001");
    assert_eq!(head.header("last-modified"), reply.header("last-modified"));
    let part = service.send("GET", &address, &[("range", "bytes=700000-")], b"");
    assert_eq!(part.expect(206).body, &content[700_000..]);
    let post = service.send("POST", &address, &[], b"").expect(405);
    assert_eq!(post.header("allow"), "GET, HEAD");

    // The same values in a query.
    let words: Vec<&str> = address.split('/').collect();
    let query = format!("/media/tasks/0199-ab/task.iso?expires={}&sig={}", words[3], words[4]);
    assert!(service.get(&query).expect(200).body == content);
}

#[test]
fn an_image_of_the_operator_is_found_by_its_name() {
    let service = Service::start();
    let media = media(&service);
    let image = Image::from_name("maintenance.iso").unwrap();
    assert!(matches!(media.address(&image, in_an_hour()), Err(MediaError::Missing { .. })));
    fs::write(media.path(&image), "first").unwrap();
    let address = media.address(&image, in_an_hour()).unwrap();
    assert_eq!(service.get(&address).expect(200).body, b"first");
    // Replaced: the old URL is for other content.
    fs::write(media.path(&image), "second").unwrap();
    service.get(&address).expect(403);
    let address = media.address(&image, in_an_hour()).unwrap();
    assert_eq!(service.get(&address).expect(200).body, b"second");
    fs::remove_file(media.path(&image)).unwrap();
    service.get(&address).expect(403);
}

#[test]
fn nothing_else_gives_it() {
    let service = Service::start();
    let media = media(&service);
    let (one, two) = (Image::task("one").unwrap(), Image::task("two").unwrap());
    media.put(&one, b"same").unwrap();
    media.put(&two, b"same").unwrap();
    let good = media.address(&one, in_an_hour()).unwrap();
    let expired = media.address(&one, SystemTime::now() - Duration::from_secs(2)).unwrap();
    service.get(&good).expect(200);
    let reply = service.get(&expired).expect(410);
    assert_eq!(reply.json()["error"], "media_expired");
    let token = good.split('/').nth(4).unwrap();
    let other_token: String = token.chars().rev().collect();
    for wrong in [
        good.replace("/one/", "/two/"),
        good.replace("/one/", "/three/"),
        good.replace(token, &other_token),
        good.replace(token, "x"),
        good.replace("/media/tasks/", "/media/tasks/9"),
        expired.replace(expired.split('/').nth(3).unwrap(), "99999999999"),
    ] {
        let reply = service.get(&wrong).expect(403);
        assert_eq!(reply.json()["error"], "media_forbidden", "{wrong}");
    }
    for nowhere in [
        "/media/key",
        "/media/tasks/one/task.iso",
        "/media/tasks/one/task.iso?expires=99999999999",
        "/media/static/1/x/..%2fkey",
        &good.replace("/one/", "/..%2fone/"),
        &format!("{good}/"),
    ] {
        service.get(nowhere).expect(404);
    }
}

#[test]
fn addresses_outlive_a_restart_and_end_with_the_image() {
    let service = Service::start();
    let images = media(&service);
    let image = Image::task("one").unwrap();
    images.put(&image, b"content").unwrap();
    let address = images.address(&image, in_an_hour()).unwrap();
    // Another process with the same key signs the same URL.
    let again = media(&service);
    let expires = SystemTime::UNIX_EPOCH
        + Duration::from_secs(address.split('/').nth(3).unwrap().parse().unwrap());
    assert_eq!(again.address(&image, expires).unwrap(), address);
    service.get(&address).expect(200);
    assert_eq!(again.tasks().unwrap(), std::slice::from_ref(&image));
    assert!(again.remove(&image).unwrap());
    assert!(!again.remove(&image).unwrap());
    assert!(again.tasks().unwrap().is_empty());
    service.get(&address).expect(403);
}

#[test]
fn many_ask_for_a_new_image_at_once() {
    let service = Service::start();
    let media = media(&service);
    let image = Image::from_name("large.iso").unwrap();
    let content = bytes(3_000_000);
    fs::write(media.path(&image), &content).unwrap();
    let address = media.address(&image, in_an_hour()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, address, content) = (service.clone(), &address, &content);
            scope.spawn(move || {
                let range = format!("bytes={}-{}", n * 1000, n * 1000 + 99_999);
                let reply = client.send("GET", address, &[("range", &range)], b"").expect(206);
                assert!(reply.body == content[n * 1000..n * 1000 + 100_000]);
            });
        }
    });
}
