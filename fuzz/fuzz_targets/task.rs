// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as the other files that come with a recipe: a schema, a signature, keys, recipe.env.
#![no_main]

use recipe::{
    env_file,
    provision::RecipeEnv,
    schema::Schema,
    signature::{PublicKeys, SigningKey, TaskManifest, public_key_pem},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(schema) = Schema::from_slice(bytes)
        && let Ok(instance) = serde_json::from_slice(bytes)
    {
        schema.validate(&instance);
    }
    drop(env_file::parse(bytes));
    if let Ok(env) = RecipeEnv::from_file(bytes) {
        let written = env.to_file().unwrap();
        assert_eq!(RecipeEnv::from_file(written.as_bytes()).unwrap(), env);
    }
    let pem = public_key_pem(&SigningKey::from_bytes(&[7; 32]));
    let keys = PublicKeys::from_pem(&pem).unwrap();
    assert!(TaskManifest::verify(bytes, &keys).is_err());
    drop(PublicKeys::from_pem(&String::from_utf8_lossy(bytes)));
});
