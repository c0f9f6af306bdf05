// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The ATA security feature set, as `hdparm -I` prints it.

use super::Choice;
use super::method::Method;

/// Chooses a method by the output of `hdparm -I`; `None` without the feature set, or if the
/// firmware of the host has frozen it.
pub(super) fn choose(identity: &str) -> Option<Choice> {
    let section = identity.split_once("\nSecurity:")?.1;
    let lines: Vec<&str> = section
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with(['\t', ' ']))
        .map(str::trim)
        .collect();
    // A property that does not apply has "not" and a tab in front.
    let has = |property: &str| lines.contains(&property);
    if !has("supported") || has("frozen") {
        return None;
    }
    let method = if has("supported: enhanced erase") {
        Method::AtaEnhancedErase
    } else {
        Method::AtaSecureErase
    };
    Some(Choice { method, has_password: has("enabled") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format of identify.c of hdparm 9.65.
    fn identity(enabled: &str, frozen: &str, enhanced: &str) -> String {
        format!(
            "\n/dev/sda:\n\nATA device, with non-removable media\n\tModel Number:       X\n\
             Security: \n\tMaster password revision code = 65534\n\t\tsupported\n\
             \t{enabled}\tenabled\n\tnot\tlocked\n\t{frozen}\tfrozen\n\
             \tnot\texpired: security count\n\t{enhanced}\tsupported: enhanced erase\n\
             \t2min for SECURITY ERASE UNIT. 2min for ENHANCED SECURITY ERASE UNIT.\n\
             Logical Unit WWN Device Identifier: 5002538e00000000\n"
        )
    }

    #[test]
    fn a_frozen_disk_is_erased_by_other_methods() {
        assert_eq!(choose(&identity("not", "", "")), None);
        assert_eq!(choose("\n/dev/sda:\nSG_IO: bad/missing sense data\n"), None);
        assert_eq!(choose("Security: \n\t\tsupported\n"), None, "not at the start of the text");
    }

    #[test]
    fn the_enhanced_mode_is_preferred_and_a_password_is_kept() {
        let expected = |method, has_password| Some(Choice { method, has_password });
        let enhanced = expected(Method::AtaEnhancedErase, false);
        assert_eq!(choose(&identity("not", "not", "")), enhanced);
        let interrupted = expected(Method::AtaSecureErase, true);
        assert_eq!(choose(&identity("", "not", "not")), interrupted);
    }
}
