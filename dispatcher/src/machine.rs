// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The serial number of the host.

use std::{fs, path::Path};

use recipe::ShortText;

use crate::log;

/// The variable that overrides the firmware.
const VARIABLE: &str = "PROVISIONER_SERIAL";
/// Where the kernel shows the serial numbers of SMBIOS, types 1 and 3.
const DMI: [&str; 2] = ["sys/class/dmi/id/product_serial", "sys/class/dmi/id/chassis_serial"];
/// Fillers of firmware in place of a serial number, in lower case.
const PLACEHOLDERS: [&str; 9] = [
    "0",
    "00000000",
    "chassis serial number",
    "default string",
    "none",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
    "unknown",
];

/// The serial number, if the host has one. `root` is `/` except in tests.
pub(crate) fn serial(root: &Path) -> Option<ShortText> {
    if let Some(serial) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return parse_serial(VARIABLE, &serial.to_string_lossy());
    }
    DMI.iter().find_map(|file| {
        let text = match fs::read(root.join(file)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                log::info(format_args!("no serial number from /{file}: {error}"));
                return None;
            }
        };
        let text = text.trim();
        let is_placeholder = PLACEHOLDERS.contains(&text.to_ascii_lowercase().as_str());
        if text.is_empty() || is_placeholder { None } else { parse_serial(file, text) }
    })
}

/// `text` as a serial number, unless it is a filler or malformed.
fn parse_serial(from: &str, text: &str) -> Option<ShortText> {
    let serial = text.trim().parse();
    if serial.is_err() {
        log::warn(format_args!(
            "the serial number from {from} is not 1 to 255 printable characters"
        ));
    }
    serial.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_dmi(product: &str, chassis: Option<&str>) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/class/dmi/id")).unwrap();
        fs::write(root.path().join(DMI[0]), product).unwrap();
        if let Some(chassis) = chassis {
            fs::write(root.path().join(DMI[1]), chassis).unwrap();
        }
        serial(root.path()).map(|serial| serial.to_string())
    }

    #[test]
    fn firmware_without_a_serial_number_is_skipped() {
        assert_eq!(from_dmi("CZ12345\n", Some("other")).as_deref(), Some("CZ12345"));
        assert_eq!(from_dmi("To Be Filled By O.E.M.\n", Some("C1\n")).as_deref(), Some("C1"));
        assert_eq!(from_dmi("  \n", Some("None\n")), None);
        assert_eq!(from_dmi("\u{1}\u{2}", None), None);
    }
}
