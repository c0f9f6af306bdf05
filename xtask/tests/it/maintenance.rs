// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Scripts of the maintenance OS that reject something: each rule is violated once.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn script(path: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new("sh");
    command.arg(root.join("maintenance-os").join(path));
    command
}

fn read_stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A root that satisfies bootc's rules.
fn good_root(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for path in ["boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "var/log"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    let modules = root.join("usr/lib/modules/6.12");
    fs::create_dir_all(&modules).unwrap();
    for name in ["vmlinuz", "initramfs.img"] {
        fs::write(modules.join(name), "").unwrap();
    }
    symlink("sysroot/ostree", root.join("ostree")).unwrap();
    symlink("/run", root.join("var/run")).unwrap();
    root
}

type Break<'a> = &'a dyn Fn(&Path);

fn lint(root: &Path) -> Output {
    script("lint").arg(root).output().unwrap()
}

#[test]
fn a_good_root_passes_the_rules_of_bootc() {
    let folder = tempfile::tempdir().unwrap();
    let output = lint(&good_root(folder.path()));
    assert!(output.status.success(), "{}", read_stderr(&output));
    assert_eq!(read_stderr(&output), "");
}

#[test]
fn each_rule_of_bootc_finds_what_breaks_it() {
    let other_kernel = |root: &Path| {
        fs::create_dir_all(root.join("usr/lib/modules/6.13")).unwrap();
        fs::write(root.join("usr/lib/modules/6.13/vmlinuz"), "").unwrap();
    };
    let breaks: [(&str, Break<'_>); 9] = [
        ("api-base-directories", &|root| fs::remove_dir(root.join("proc")).unwrap()),
        ("baseimage-root", &|root| fs::remove_file(root.join("ostree")).unwrap()),
        ("kernel", &other_kernel),
        ("etc-usretc", &|root| fs::create_dir_all(root.join("usr/etc")).unwrap()),
        ("var-run", &|root| {
            fs::remove_file(root.join("var/run")).unwrap();
            fs::create_dir(root.join("var/run")).unwrap();
        }),
        ("nonempty-boot", &|root| fs::write(root.join("boot/vmlinuz"), "").unwrap()),
        ("var-log", &|root| fs::write(root.join("var/log/dpkg.log"), "").unwrap()),
        ("buildah-injected", &|root| fs::write(root.join(".dockerenv"), "").unwrap()),
        ("utf8", &|root| fs::write(root.join(OsStr::from_bytes(b"etc/\xff")), "").unwrap()),
    ];
    for (rule, break_it) in breaks {
        let folder = tempfile::tempdir().unwrap();
        let root = good_root(folder.path());
        break_it(&root);
        let output = lint(&root);
        assert!(!output.status.success(), "{rule} was not found");
        let printed = read_stderr(&output);
        assert!(
            printed.starts_with(&format!("{rule}: ")) && printed.lines().count() == 1,
            "{printed}"
        );
    }
}

/// The units of the steps.
fn units() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("maintenance-os/root/usr/share/containers/systemd")
}

/// The policy for the tool images of the registry `tools`, or the error output.
fn policy(key: &str, tools: &str) -> Result<serde_json::Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let (key_file, policy) = (folder.path().join("key.pem"), folder.path().join("policy.json"));
    fs::write(&key_file, key).unwrap();
    let output = script("root/usr/libexec/provisioner/tool-policy")
        .args([&key_file, &policy])
        .arg(folder.path().join("none"))
        .arg(units())
        .env("TOOLS", tools)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&fs::read(policy).unwrap()).unwrap());
    }
    assert!(!policy.exists(), "half a policy was left");
    Err(read_stderr(&output))
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n";

#[test]
fn the_tool_policy_takes_each_tool_image_by_its_own_name_and_nothing_else() {
    let by_address = policy(KEY, "[2001:db8::1]:5000/p/tools").unwrap();
    assert!(by_address.to_string().contains("\"[2001:db8::1]:5000/p/tools/sgdisk\""));
    let policy = policy(KEY, "registry.example:5000/p/tools").unwrap();
    assert_eq!(policy["default"][0]["type"], "reject");
    let images = policy["transports"]["docker"].as_object().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let product = fs::read_to_string(root.join("release.toml")).unwrap();
    let names = product.lines().filter_map(|line| line.strip_prefix("name = \"tools/"));
    let tools: Vec<_> = names.filter_map(|name| name.strip_suffix('"')).collect();
    assert_eq!(images.len(), tools.len());
    for tool in tools {
        let rule = &images[&format!("registry.example:5000/p/tools/{tool}")][0];
        assert_eq!(rule["type"], "sigstoreSigned");
        assert_eq!(rule["signedIdentity"]["dockerRepository"], format!("tools/{tool}"));
    }
}

#[test]
fn each_step_runs_a_tool_image_of_the_product_and_each_of_them_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let product = fs::read_to_string(root.join("release.toml")).unwrap();
    let names = product.lines().filter_map(|line| line.strip_prefix("name = \"tools/"));
    let tools: BTreeSet<_> = names.filter_map(|name| name.strip_suffix('"')).collect();
    let units = fs::read_dir(units()).unwrap().map(|entry| entry.unwrap().path());
    let units = units.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
    let units: Vec<_> = units.collect();
    let images = units.iter().flat_map(|text| text.lines());
    let images = images.filter_map(|line| {
        line.strip_prefix("Image=docker://${TOOLS}/")?.strip_suffix(":${TOOLS_TAG}")
    });
    let images: Vec<_> = images.collect();
    assert_eq!(images.len(), units.len(), "a unit runs one image");
    assert_eq!(images.into_iter().collect::<BTreeSet<_>>(), tools);
}

#[test]
fn the_tool_policy_takes_bound_images_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (key, written) = (folder.path().join("key.pem"), folder.path().join("policy.json"));
    fs::write(&key, KEY).unwrap();
    let output = script("root/usr/libexec/provisioner/tool-policy")
        .args([&key, &written])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", read_stderr(&output));
    let policy: serde_json::Value = serde_json::from_slice(&fs::read(written).unwrap()).unwrap();
    assert_eq!(policy["default"][0]["type"], "reject");
    let transports = policy["transports"].as_object().unwrap();
    assert_eq!(transports.keys().collect::<Vec<_>>(), ["oci"]);
    let scopes = transports["oci"].as_object().unwrap();
    assert_eq!(scopes.keys().collect::<Vec<_>>(), [folder.path().to_str().unwrap()]);
}

#[test]
fn the_tool_policy_is_not_written_without_a_key_or_a_registry() {
    assert!(policy("no key\n", "registry.example/tools").unwrap_err().contains("no public key"));
    assert!(policy(KEY, "").unwrap_err().contains("names no registry"));
    assert!(policy(KEY, "a\",\"b").unwrap_err().contains("invalid name"));
}
