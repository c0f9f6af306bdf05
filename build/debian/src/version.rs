// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Ordering of Debian versions (Debian policy 5.6.12; deb-version(7), "Sorting algorithm").

use std::cmp::Ordering;

/// Compares the versions `a` and `b`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (first, second) = (Parts::of(a), Parts::of(b));
    number(first.epoch, second.epoch)
        .then_with(|| part(first.upstream, second.upstream))
        .then_with(|| part(first.revision, second.revision))
}

/// `[EPOCH:]UPSTREAM[-REVISION]`; absent parts count as zero.
struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let [epoch, upstream, revision] = [epoch, upstream, revision].map(str::as_bytes);
        Self { epoch, upstream, revision }
    }
}

/// Compares alternating text and numbers, text first.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (text_a, rest_a) = split(a, |byte| !byte.is_ascii_digit());
        let (text_b, rest_b) = split(b, |byte| !byte.is_ascii_digit());
        let (digits_a, rest_a) = split(rest_a, u8::is_ascii_digit);
        let (digits_b, rest_b) = split(rest_b, u8::is_ascii_digit);
        let order = text(text_a, text_b).then_with(|| number(digits_a, digits_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// Splits before the first byte that is not `wanted`.
fn split(bytes: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !wanted(byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// `~` sorts before the end, the end before letters, letters before everything else.
fn text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|at| weight(a.get(at)).cmp(&weight(b.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares numbers of any length by value.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = split(a, |byte| *byte == b'0');
    let (_, b) = split(b, |byte| *byte == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_policy() {
        let sorted = [
            "1.0~~",
            "1.0~rc1",
            "1.0",
            "1.0-0.1",
            "1.0-1~deb13u1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb13u1",
            "1.0-1+deb13u2",
            "1.0-1+deb13u10",
            "1.0a",
            "1.0+dfsg",
            "1.0.1",
            "1.10",
            "2:0.1",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.02", "1.2"), ("", "")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn dpkg_orders_them_alike() {
        let relation = |a: &str, b: &str| {
            ["lt", "eq", "gt"].into_iter().find(|it| {
                let status = Command::new("dpkg").args(["--compare-versions", a, it, b]).status();
                status.is_ok_and(|status| status.success())
            })
        };
        test_support::need!(&["dpkg"]);
        let versions = [
            "0", "1", "1-1", "1-1~", "1~-1", "1.0-1+b1", "1.0-1-1", "1+a", "1a", "1.a~", "01.00",
            "1:0", "9:1-0", "1.0.~", "1-+", "1-a",
        ];
        for a in versions {
            for b in versions {
                let ours = match compare(a, b) {
                    Ordering::Less => "lt",
                    Ordering::Equal => "eq",
                    Ordering::Greater => "gt",
                };
                assert_eq!(relation(a, b), Some(ours), "{a} {b}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_the_same_from_both_sides(a in "[0-9a-c:.+~-]{0,8}", b in "[0-9a-c:.+~-]{0,8}") {
            proptest::prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
