// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/run/provision` is read back as written, replaced atomically, and readable by root only; our
//! parser and systemd's agree on `recipe.env`.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]
#![cfg(feature = "write")]

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use proptest::{collection, prelude::*};
use recipe::{
    env_file,
    provision::{BuildInfo, Provision, ProvisionError, RecipeEnv},
    validate,
};
use test_support::folder::names;

fn provision(example: &str) -> Provision {
    let recipe = validate(example.as_bytes()).unwrap();
    let schema_id = recipe.schema.id;
    let recipe_sha256 = recipe.source.sha256.parse().unwrap();
    let recipe = recipe.recipe;
    Provision {
        env: RecipeEnv {
            task_target: recipe.task_target,
            target_disk: recipe.target_disk,
            oci_url: recipe.oci_url,
            firmware_url: recipe.firmware_url,
            firmware_sha256: recipe.firmware_sha256,
            serial: Some("SN 0815/4711 $HOME `id` \"quoted\" \\".parse().unwrap()),
            job_id: Some("0f9c".parse().unwrap()),
            schema_id: schema_id.parse().unwrap(),
            recipe_sha256,
        },
        layout: recipe.partition_layout,
        erase: recipe.erase_disks,
        network: None,
        user_data: recipe.user_data,
        unattend_xml: recipe.unattend_xml,
        ks_cfg: recipe.ks_cfg,
        build_info: BuildInfo {
            dispatcher_version: "1.2.3".into(),
            dispatcher_commit: "0123abc".into(),
            schema_id: schema_id.into(),
            recipe_sha256: "0".repeat(64).parse().unwrap(),
            serial: Some("SN".parse().unwrap()),
        },
    }
}

const EXAMPLES: [&str; 5] = [
    include_str!("../examples/install-linux.json"),
    include_str!("../examples/install-windows.json"),
    include_str!("../examples/install-esxi.json"),
    include_str!("../examples/firmware-update.json"),
    include_str!("../examples/erase.json"),
];

#[test]
fn what_is_written_is_read_back() {
    for example in EXAMPLES {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run/provision");
        let written = provision(example);
        written.write(&dir).unwrap();
        assert_eq!(Provision::read(&dir).unwrap(), written);
    }
}

#[test]
fn the_folder_holds_only_what_the_recipe_has_and_is_replaced_whole() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("provision");
    for (example, files) in EXAMPLES.into_iter().zip([
        &["build-info.json", "layout.json", "recipe.env", "user-data"][..],
        &["build-info.json", "layout.json", "recipe.env", "unattend.xml"],
        &["build-info.json", "ks.cfg", "recipe.env"],
        &["build-info.json", "recipe.env"],
        &["build-info.json", "erase.json", "recipe.env"],
    ]) {
        fs::create_dir_all(root.path().join(".provision.new/left/by/a/dead/run")).unwrap();
        provision(example).write(&dir).unwrap();
        assert_eq!(names(&dir), files);
        assert_eq!(names(root.path()), ["provision"]);
    }
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
    for name in names(&dir) {
        let mode = fs::metadata(dir.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn files_hold_the_recipe_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("provision");
    provision(EXAMPLES[0]).write(&dir).unwrap();
    let recipe: serde_json::Value = serde_json::from_str(EXAMPLES[0]).unwrap();
    assert_eq!(
        fs::read_to_string(dir.join("user-data")).unwrap(),
        recipe["user_data"].as_str().unwrap()
    );
    let layout: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("layout.json")).unwrap()).unwrap();
    assert_eq!(layout, recipe["partition_layout"]);
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("provision");
    let before = provision(EXAMPLES[2]);
    before.write(&dir).unwrap();
    // The parent folder can't be created, because a file has its name.
    let below_a_file = dir.join("recipe.env/provision");
    assert!(matches!(before.write(&below_a_file), Err(ProvisionError::Io { .. })));
    assert_eq!(Provision::read(&dir).unwrap(), before);
}

#[test]
fn a_damaged_folder_is_an_error_with_the_files_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("provision");
    let written = provision(EXAMPLES[0]);
    let break_and_read = |file: &str, contents: Option<&[u8]>| {
        written.write(&dir).unwrap();
        match contents {
            Some(bytes) => fs::write(dir.join(file), bytes).unwrap(),
            None => fs::remove_file(dir.join(file)).unwrap(),
        }
        let error = Provision::read(&dir).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        error
    };
    assert!(break_and_read("recipe.env", None).contains("the dispatcher has not run"));
    assert!(break_and_read("recipe.env", Some(b"TASK_TARGET=x")).contains("TASK_TARGET"));
    assert!(break_and_read("recipe.env", Some(b"\0")).contains("UTF-8"));
    assert!(break_and_read("layout.json", Some(b"[]")).contains("1 to 64"));
    assert!(break_and_read("user-data", Some(&[0xff])).contains("UTF-8"));
    assert!(break_and_read("user-data", Some(&vec![b'a'; (1 << 20) + 1])).contains("more than"));
    break_and_read("build-info.json", Some(b"{}"));
    break_and_read("build-info.json", None);
}

/// Any text that systemd accepts: without NUL and noncharacters.
fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "(?s).{0,40}",
        "[ \\t\\r\\n\"'\\\\`$#;=a]{0,20}",
        "\\PC{0,40}",
        "[\\x01-\\x7f]{0,40}",
    ];
    text.prop_filter("systemd refuses it", |text| env_file::write([("A", text.as_str())]).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn our_parser_reads_what_was_written(values in collection::vec(value(), 0..8)) {
        let names: Vec<String> = (0..values.len()).map(|index| format!("NAME_{index}")).collect();
        let pairs: Vec<(&str, &str)> =
            names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let file = env_file::write(pairs.iter().copied()).unwrap();
        let read = env_file::parse(file.as_bytes()).unwrap();
        let read: Vec<(&str, &str)> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(read, pairs);
    }

    #[test]
    fn no_environment_file_panics(file in collection::vec(any::<u8>(), 0..200), text in "[A=\\\\\"' \n\r#;]{0,60}") {
        drop(env_file::parse(&file));
        prop_assert!(env_file::parse(text.as_bytes()).is_ok());
    }
}

/// systemd's own parser, without a running systemd: `systemd-tmpfiles` reads `os-release` with
/// `parse_env_file_internal`, the function behind `EnvironmentFile=`, and writes the values to the
/// files in its configuration.
struct Systemd {
    root: tempfile::TempDir,
}

impl Systemd {
    /// The fields of `os-release` that `systemd-tmpfiles` has a specifier for (tmpfiles.d(5)).
    const FIELDS: [(&str, &str); 4] =
        [("ID", "%o"), ("BUILD_ID", "%B"), ("VERSION_ID", "%w"), ("VARIANT_ID", "%W")];

    fn new() -> Option<Self> {
        test_support::find("systemd-tmpfiles")?;
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        Some(Self { root })
    }

    /// Values of [`Systemd::FIELDS`] in an environment file, as systemd parses them.
    fn read(&self, file: &str) -> Vec<String> {
        let root = self.root.path();
        fs::write(root.join("etc/os-release"), file).unwrap();
        let rules = Self::FIELDS
            .map(|(name, spec)| {
                format!(
                    "f+ /{name} - - - - {spec}
"
                )
            })
            .concat();
        let config = root.join("rules.conf");
        fs::write(&config, rules).unwrap();
        let output = Command::new("systemd-tmpfiles")
            .arg(format!("--root={}", root.display()))
            .arg("--create")
            .arg(&config)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let fields = Self::FIELDS.iter();
        fields.map(|(name, _)| fs::read_to_string(root.join(name)).unwrap()).collect()
    }
}

#[test]
fn systemd_reads_what_was_written() {
    let Some(systemd) = Systemd::new() else { return };
    let values = [(); Systemd::FIELDS.len()].map(|()| value());
    let config = ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&values, |values| {
            let names = Systemd::FIELDS.iter().map(|(name, _)| *name);
            let pairs = names.zip(values.iter().map(String::as_str));
            let file = env_file::write(pairs).unwrap();
            prop_assert_eq!(systemd.read(&file), values);
            Ok(())
        })
        .unwrap();
}

#[test]
fn both_parsers_read_odd_files_alike() {
    let Some(systemd) = Systemd::new() else { return };
    for value in [
        "plain",
        "  spaces around  ",
        "a b\tc",
        "'single $x \\ \" `'",
        "\"double \\\" \\\\ \\` \\$ \\n \\x\"",
        "one\\\ntwo",
        "\"one\\\ntwo\nthree\"",
        "'one\\\ntwo'",
        "\"a\" 'b' c",
        "\"a\"b",
        "a\"b\"",
        "a\\ ",
        "\\a\\\\",
        "x # no comment",
        "x ; no comment",
        "\"never closed",
        "a\rb=c",
        "=",
        "ä€😀",
    ] {
        let file = format!("# comment\n; other\nID=\"1\"\n  BUILD_ID  ={value}\n");
        let file = format!("{file}VERSION_ID=2\nVARIANT_ID=3\n");
        let ours = env_file::parse(file.as_bytes()).unwrap();
        let ours: Vec<String> = Systemd::FIELDS
            .iter()
            .map(|(name, _)| {
                let found = ours.iter().find(|(key, _)| key == name);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            })
            .collect();
        assert_eq!(systemd.read(&file), ours, "{value:?}");
    }
}

#[test]
fn what_systemd_refuses_is_not_written() {
    for (value, what) in
        [("a\0b", "NUL"), ("\u{fdd0}", "noncharacter"), ("\u{1ffff}", "noncharacter")]
    {
        let error = env_file::write([("A", value)]).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let long = "a".repeat(env_file::MAX_VALUE_BYTES + 1);
    assert!(env_file::write([("A", long.as_str())]).is_err());
    for name in ["", "1A", "A B", "A=B", "A\n"] {
        assert!(env_file::write([(name, "x")]).is_err(), "{name:?}");
    }
}
