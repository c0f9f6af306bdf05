// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! JSON whose bytes depend on nothing but the value, because digests are made of them.

use serde::Serialize;

/// Serialises `value` without white space, the keys of every object sorted.
///
/// The types of `oci-spec` keep annotations in hash maps: written directly, two runs would differ.
///
/// # Errors
/// When `value` can't be JSON, such as a map whose keys are not strings.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    // A no-op unless some crate in the build turns serde_json's `preserve_order` on.
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
