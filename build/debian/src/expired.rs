// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Explains apt's errors about expired indexes. Indexes of `-updates`, `-security` and unstable
//! suites expire after about a week; those of stable suites never do.

/// The reason and fix if apt rejected an index because of its date, from output with `LC_ALL=C`.
pub fn explain(printed: &str) -> Option<String> {
    printed.lines().find_map(|line| {
        let (_, rest) = line.split_once("Release file for ")?;
        if let Some((url, rest)) = rest.split_once(" is expired (invalid since ") {
            let (age, _) = rest.split_once(')')?;
            return Some(format!(
                "the package index {url} expired {age} ago: the mirror is frozen or no longer updated, or \
                 the clock of this host is ahead\n    \
                 fix: set another mirror in /etc/apt, or the clock; for an intentionally frozen mirror: \
                 echo 'Acquire::Check-Valid-Until \"false\";' > /etc/apt/apt.conf.d/99frozen-mirror"
            ));
        }
        let (url, rest) = rest.split_once(" is not valid yet (invalid for another ")?;
        let (age, _) = rest.split_once(')')?;
        Some(format!(
            "the package index {url} is not valid for another {age}: the clock of this host is behind\n    \
             fix: set the clock, then rerun"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output of apt 2.6.
    const EXPIRED: &str = "Reading package lists...\n\
        E: Release file for http://mirror.example/debian/dists/sid/InRelease is expired (invalid since 22d \
        20h 36min 54s). Updates for this repository will not be applied.\n";

    #[test]
    fn an_expired_index_is_named_with_its_age_and_its_fix() {
        let text = explain(EXPIRED).unwrap();
        for part in ["mirror.example/debian/dists/sid/InRelease", "22d 20h", "Check-Valid-Until"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("fix: "), "{text}");
    }

    #[test]
    fn an_index_from_the_future_is_the_fault_of_the_clock() {
        let text = "E: Release file for http://m.example/dists/trixie/InRelease is not valid yet (invalid \
                    for another 2h 3min 4s). Updates for this repository will not be applied.";
        let text = explain(text).unwrap();
        assert!(text.contains("2h 3min 4s") && text.contains("clock"), "{text}");
    }

    #[test]
    fn other_failures_are_left_to_apt() {
        assert_eq!(explain("E: Unable to locate package xyz\n"), None);
        assert_eq!(explain(""), None);
    }
}
