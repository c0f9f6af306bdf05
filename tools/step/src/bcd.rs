// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Boot configuration data (BCD) of Windows, as a patch in regedit's text format.
//!
//! A BCD store is a registry hive. The patch adds the disk and partitions to boot from to a copy of
//! Windows' template, `BCD-Template`. Objects, elements and their numbers: Microsoft's "BCD WMI
//! provider" reference (`BcdBootMgrElementTypes`, `BcdLibraryElementTypes`,
//! `BcdOSLoaderElementTypes`).

use uuid::Uuid;

/// The boot manager's object, the same in every store (`GUID_WINDOWS_BOOTMGR`).
const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
/// Settings that loaders inherit (`GUID_BOOT_LOADER_SETTINGS_GROUP`).
const LOADER_SETTINGS: &str = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}";
/// Settings that everything inherits (`GUID_GLOBAL_SETTINGS_GROUP`).
const GLOBAL_SETTINGS: &str = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}";

/// Object type: boot manager, a firmware application.
const BOOT_MANAGER_TYPE: u32 = 0x1010_0002;
/// Object type: Windows loader, an application of the boot manager.
const LOADER_TYPE: u32 = 0x1020_0003;

/// Registry types of values (winnt.h).
const REG_SZ: u8 = 1;
const REG_BINARY: u8 = 3;
const REG_DWORD: u8 = 4;
const REG_MULTI_SZ: u8 = 7;

/// GUIDs of the partitions in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partitions {
    /// GUID of the disk.
    pub(crate) disk: Uuid,
    /// GUID of the EFI system partition.
    pub(crate) efi: Uuid,
    /// GUID of the partition with Windows.
    pub(crate) windows: Uuid,
    /// GUID of the loader object; any that is unique to this host.
    pub(crate) loader: Uuid,
}

/// The patch that turns Windows' template into a store for these partitions.
pub(crate) fn patch(partitions: &Partitions) -> String {
    let loader = format!("{{{}}}", partitions.loader);
    let efi = device(&partitions.efi, &partitions.disk);
    let windows = device(&partitions.windows, &partitions.disk);
    let mut out = String::from("Windows Registry Editor Version 5.00\n\n");
    value(&mut out, "Description", "KeyName", REG_SZ, &utf16("BCD00000000"));
    value(&mut out, "Description", "System", REG_DWORD, &1_u32.to_le_bytes());
    value(&mut out, "Description", "TreatAsSystem", REG_DWORD, &1_u32.to_le_bytes());

    let mut manager = Object::new(&mut out, BOOT_MANAGER, BOOT_MANAGER_TYPE);
    manager.element(0x1100_0001, REG_BINARY, &efi);
    manager.element(0x1200_0002, REG_SZ, &utf16(r"\EFI\Microsoft\Boot\bootmgfw.efi"));
    manager.element(0x1200_0004, REG_SZ, &utf16("Windows Boot Manager"));
    manager.element(0x1400_0006, REG_MULTI_SZ, &list(GLOBAL_SETTINGS));
    manager.element(0x2300_0003, REG_SZ, &utf16(&loader));
    manager.element(0x2400_0001, REG_MULTI_SZ, &list(&loader));
    // Boot menu timeout in seconds, for several systems.
    manager.element(0x2500_0004, REG_BINARY, &5_u64.to_le_bytes());

    let mut object = Object::new(&mut out, &loader, LOADER_TYPE);
    object.element(0x1100_0001, REG_BINARY, &windows);
    object.element(0x1200_0002, REG_SZ, &utf16(r"\Windows\system32\winload.efi"));
    object.element(0x1200_0004, REG_SZ, &utf16("Windows"));
    object.element(0x1400_0006, REG_MULTI_SZ, &list(LOADER_SETTINGS));
    object.element(0x2100_0001, REG_BINARY, &windows);
    object.element(0x2200_0002, REG_SZ, &utf16(r"\Windows"));
    // No-execute policy: OptIn, Windows' default.
    object.element(0x2500_0020, REG_BINARY, &0_u64.to_le_bytes());
    out
}

/// A BCD object whose elements are being written.
struct Object<'a> {
    out: &'a mut String,
    id: &'a str,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut String, id: &'a str, kind: u32) -> Self {
        // hivexregedit requires existing parent keys, so they come first.
        for parent in
            ["Objects".to_owned(), format!(r"Objects\{id}"), format!(r"Objects\{id}\Elements")]
        {
            out.push_str(&format!("[\\{parent}]\n\n"));
        }
        let key = format!(r"Objects\{id}\Description");
        value(out, &key, "Type", REG_DWORD, &kind.to_le_bytes());
        Self { out, id }
    }

    fn element(&mut self, number: u32, kind: u8, data: &[u8]) {
        let key = format!(r"Objects\{}\Elements\{number:08x}", self.id);
        value(self.out, &key, "Element", kind, data);
    }
}

/// Writes a key with one value, as hex bytes, which avoids guesses about the encoding.
fn value(out: &mut String, key: &str, name: &str, kind: u8, data: &[u8]) {
    let bytes: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
    out.push_str(&format!("[\\{key}]\n\"{name}\"=hex({kind}):{}\n\n", bytes.join(",")));
}

/// Encodes a device element: a partition of a GPT disk.
///
/// 16 bytes of additional options (zero); then the device: type 6 (partition), flags, size of this
/// structure, a reserved field, and the partition identifier: partition GUID, reserved field, style
/// (0 is GPT), disk GUID, 16 reserved bytes. All numbers are 32 bits, little-endian.
fn device(partition: &Uuid, disk: &Uuid) -> Vec<u8> {
    let mut device = Vec::with_capacity(88);
    device.extend([0; 16]);
    for number in [6_u32, 0, 72, 0] {
        device.extend(number.to_le_bytes());
    }
    device.extend(partition.to_bytes_le());
    device.extend([0; 8]);
    device.extend(disk.to_bytes_le());
    device.extend([0; 16]);
    device
}

/// Encodes a `REG_SZ` string: UTF-16, little-endian, NUL-terminated.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Encodes a `REG_MULTI_SZ` list with one string.
fn list(text: &str) -> Vec<u8> {
    let mut bytes = utf16(text);
    bytes.extend([0, 0]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;

    #[test]
    fn a_device_has_the_size_that_it_states() {
        let ids = Ids::new("SN1", "aa");
        let device = device(&ids.partition(1), &ids.disk());
        assert_eq!(device.len(), 16 + 72);
        assert_eq!(device[24..28], 72_u32.to_le_bytes());
        assert_eq!(device[32..48], ids.partition(1).to_bytes_le());
        assert_eq!(device[56..72], ids.disk().to_bytes_le());
    }

    #[test]
    fn the_patch_names_the_loader_and_its_partitions() {
        let ids = Ids::new("SN1", "aa");
        let text = patch(&Partitions {
            disk: ids.disk(),
            efi: ids.partition(1),
            windows: ids.partition(3),
            loader: ids.windows_loader(),
        });
        let loader = format!(r"[\Objects\{{{}}}\Elements\21000001]", ids.windows_loader());
        assert!(text.contains(&loader), "{text}");
        assert!(text.contains("\"Type\"=hex(4):03,00,20,10\n"), "{text}");
        assert!(text.is_ascii());
    }
}
