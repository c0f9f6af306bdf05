// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Canonical JSON: the bytes, and so the digest, depend only on the value.

use serde::Serialize;

/// Serialises `value` without white space, with sorted object keys.
///
/// `oci-spec` stores annotations in hash maps, whose order is random.
///
/// # Errors
/// When `value` can't be represented in JSON, such as a map with keys that are not strings.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    // A no-op unless serde_json's feature `preserve_order` is enabled in the build.
    value.sort_all_objects();
    serde_json::to_vec(&value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let inner: HashMap<String, u32> = (0..50).map(|n| (format!("k{n:02}"), n)).collect();
        let outer: HashMap<&str, &HashMap<String, u32>> = [("b", &inner), ("a", &inner)].into();
        let text = String::from_utf8(super::canonical(&outer).unwrap()).unwrap();
        assert!(text.starts_with(r#"{"a":{"k00":0,"k01":1,"#), "{text}");
        assert!(text.ends_with(r#""k48":48,"k49":49}}"#), "{text}");
    }
}
