// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Valid and invalid references, and properties of the parser.

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_parts_are_found() {
    let text = format!("127.0.0.1:5000/tools/config-drive:v1.2.3@{DIGEST}");
    let reference: Reference = text.parse().unwrap();
    assert_eq!(reference.registry.as_str(), "127.0.0.1:5000");
    assert_eq!(reference.registry.host(), "127.0.0.1");
    assert_eq!(reference.repository.as_str(), "tools/config-drive");
    assert_eq!(reference.tag.as_ref().map(Tag::as_str), Some("v1.2.3"));
    assert_eq!(reference.selector().to_string(), DIGEST);
    assert_eq!(reference.to_string(), text);
}

#[test]
fn without_tag_and_digest_latest_is_meant() {
    let reference: Reference = "registry.example/a".parse().unwrap();
    assert_eq!(reference.selector().to_string(), "latest");
    assert_eq!(reference.to_string(), "registry.example/a");
}

#[test]
fn each_fault_is_named() {
    let long = format!("r.example/{}", "a".repeat(256));
    let long_tag = format!("r.example/a:{}", "t".repeat(129));
    for (text, expected) in [
        ("", "names no registry"),
        ("ubuntu", "names no registry"),
        ("library/ubuntu:24.04", "names no registry"),
        ("r.example", "names no registry"),
        ("r.example:0/a", "registry"),
        ("r.example:65536/a", "registry"),
        ("r.example:+80/a", "registry"),
        ("-r.example/a", "registry"),
        ("r..example/a", "registry"),
        ("[::1/a", "registry"),
        ("[fe80::zz]:5000/a", "registry"),
        ("user@r.example/a", "registry"),
        ("r.example/", "repository"),
        ("r.example/A", "repository"),
        ("r.example/a//b", "repository"),
        ("r.example/../a", "repository"),
        ("r.example/a___b", "repository"),
        ("r.example/a.-b", "repository"),
        ("r.example/a-", "repository"),
        ("r.example/ä", "repository"),
        (long.as_str(), "repository"),
        ("r.example/a:", "tag"),
        ("r.example/a:.b", "tag"),
        ("r.example/a:b/c", "tag"),
        (long_tag.as_str(), "tag"),
        ("r.example/a@sha256:12", "digest"),
        ("r.example/a@", "digest"),
    ] {
        let message = text.parse::<Reference>().unwrap_err().to_string();
        assert!(message.contains(expected), "{text:?}: {message}");
    }
}

#[test]
fn unusual_names_are_accepted() {
    for text in [
        "localhost/a",
        "[::1]:5000/a",
        "[2001:db8::1]/a",
        "R.Example:5000/a__b/c---d/e.f_g",
        "r.example/a:_under.score-dash",
    ] {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }
}

#[test]
fn loopback_is_known_by_its_name() {
    for (text, expected) in [
        ("localhost", true),
        ("localhost:5000", true),
        ("127.3.2.1:80", true),
        ("[::1]:5000", true),
        ("[::1]", true),
        ("128.0.0.1", false),
        ("localhost.example", false),
        ("127.0.0.1.example", false),
    ] {
        assert_eq!(text.parse::<Registry>().unwrap().is_loopback(), expected, "{text}");
    }
}

#[test]
fn the_fallback_tag_of_a_long_digest_is_cut_to_a_tag() {
    let digest: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
    let tag = Tag::of_digest(&digest);
    assert_eq!(tag.as_str(), format!("sha512-{}", "a".repeat(64)));
    assert_eq!(tag.as_str().parse::<Tag>().as_ref(), Ok(&tag));
}

prop_compose! {
    /// References generated from the grammar of the specification.
    fn valid_reference()(
        registry in "([a-z0-9]{1,8}\\.){1,3}[a-z]{2,5}(:[1-9][0-9]{0,3})?|localhost|\\[::1\\]:5000",
        repository in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}){0,3}",
        tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"),
        hex in proptest::option::of("[0-9a-f]{64}"),
    ) -> String {
        let tag = tag.map(|t| format!(":{t}")).unwrap_or_default();
        let digest = hex.map(|h| format!("@sha256:{h}")).unwrap_or_default();
        format!("{registry}/{repository}{tag}{digest}")
    }
}

proptest! {
    #[test]
    fn what_the_grammar_makes_is_read_and_written_back(text in valid_reference()) {
        prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_refused_or_written_back(text in "\\PC{0,60}|[a-z./:@_-]{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn no_repository_leaves_its_folder(text in "[a-z./_-]{0,20}") {
        if let Ok(repository) = text.parse::<Repository>() {
            prop_assert!(repository.as_str().split('/').all(|c| !c.is_empty() && !c.starts_with('.')));
        }
    }
}
