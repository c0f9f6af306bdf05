// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Detects the host's distribution (os-release(5)): packages and images need Debian's suites and
//! programs.

use debian::root::os_release;

const FILE: &str = "/etc/os-release";

/// On other distributions than Debian, a note about their limits.
pub(crate) fn note() -> Option<String> {
    // Without the file it is not Debian either.
    note_of(&std::fs::read_to_string(FILE).unwrap_or_default())
}

fn note_of(text: &str) -> Option<String> {
    if os_release(text, "ID") == Some("debian") {
        return None;
    }
    let name = os_release(text, "PRETTY_NAME").unwrap_or("this system");
    Some(format!(
        "{name} is not Debian: format, lints, tests and binaries work here; packages, images, ISOs and what `setup` \
         installs from Debian do not\n    fix: run in the container that docs/contributing.md describes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_distributions_are_named_with_what_works_there() {
        assert_eq!(note_of("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n"), None);
        let ubuntu = note_of("PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nID=ubuntu\nID_LIKE=debian\n");
        let ubuntu = ubuntu.unwrap();
        assert!(ubuntu.starts_with("Ubuntu 24.04.3 LTS is not Debian"), "{ubuntu}");
        assert!(ubuntu.contains("fix: run in the container"), "{ubuntu}");
        assert!(note_of("ID=fedora\n").is_some() && note_of("").is_some());
    }
}
