// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a recipe: no panic, and an accepted recipe round-trips.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match recipe::validate(bytes) {
        Ok(accepted) => {
            let written = serde_json::to_vec(&accepted.recipe).unwrap();
            let again = recipe::validate(&written).unwrap();
            assert_eq!(again.recipe, accepted.recipe);
            assert_eq!(again.schema, recipe::CURRENT);
        }
        Err(error) => assert!(!error.details.is_empty()),
    }
});
