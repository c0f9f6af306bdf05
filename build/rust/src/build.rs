// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command that builds a release binary: static and reproducible.
//!
//! Nothing of the build host may reach the binary. Folders are mapped to fixed names
//! (`--remap-path-prefix` of rustc, `-ffile-prefix-map` of C compilers), flags and profiles of the
//! environment are ignored, and there are no timestamps: version, commit and date are stamped into
//! the linked binary (see [`crate::identity`]), so that a new commit alone recompiles nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use foundation::command::Command;

use crate::auditable;
use crate::toolchain::{Libc, Standard, Target, Toolchain};

/// Folders of a build, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Workspace root.
    pub root: PathBuf,
    /// Cargo's target folder of the build.
    pub target: PathBuf,
    /// `CARGO_HOME`.
    pub cargo_home: PathBuf,
    /// Folder `library` of the compiler's source, for targets that build the standard library.
    pub library: PathBuf,
    /// Linker for static position-independent executables; see [`PIE_LINKER`].
    pub pie_linker: PathBuf,
}

/// cargo profile of release builds.
const PROFILE: &str = "dist";

/// Name of a linker script around `cc` (its last argument) that links a static position-independent
/// executable, which rustc does not support for this target. From the suffix of its name, rustc
/// derives that it takes options of gcc.
pub const PIE_LINKER: &str = "static-pie-gcc";

/// Content of [`PIE_LINKER`] for the compiler `c_compiler`.
pub fn pie_linker(c_compiler: &str) -> String {
    format!(
        "#!/bin/sh\n\
         for word in \"$@\"; do\n\
         \x20   shift\n\
         \x20   case $word in -static | -no-pie) ;; *) set -- \"$@\" \"$word\" ;; esac\n\
         done\n\
         exec {c_compiler} -static-pie \"$@\"\n"
    )
}

/// Inherited variables that could change the compiler's output.
const KEPT_OUT: &[&str] = &["CARGO_TARGET_DIR", "RUSTC_WRAPPER", "RUSTFLAGS"];

impl Folders {
    /// Folders of a build in the workspace `root`.
    ///
    /// # Errors
    /// When neither `CARGO_HOME` nor `HOME` is set.
    pub fn new(root: &Path, target: PathBuf, library: PathBuf) -> Result<Self> {
        let pie_linker = target.join(PIE_LINKER);
        Ok(Self { root: root.to_owned(), target, cargo_home: cargo_home()?, library, pie_linker })
    }

    /// Folders of the build host that must not occur in a binary.
    pub fn private(&self, toolchain: &Toolchain) -> Vec<String> {
        let home = home().ok();
        [&self.root, &self.target, &self.cargo_home, &self.library, &toolchain.sysroot]
            .into_iter()
            .chain(home.as_ref())
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect()
    }

    /// Folder to fixed name, in rustc's order: the last match is used.
    fn mapping(&self, toolchain: &Toolchain) -> Vec<(PathBuf, String)> {
        let mut mapping = vec![
            (toolchain.sysroot.clone(), "/build/rust".to_owned()),
            (toolchain.library_source(), format!("/rustc/{}", toolchain.commit)),
            (self.cargo_home.clone(), "/build/cargo".to_owned()),
        ];
        // Registry folders contain a hash of the registry's URL, which differs for a mirror.
        mapping.extend(
            registries(&self.cargo_home)
                .into_iter()
                .map(|registry| (registry, "/build/registry".to_owned())),
        );
        mapping.push((self.root.clone(), "/build/source".to_owned()));
        mapping.push((self.target.clone(), "/build/target".to_owned()));
        mapping.push((self.library.clone(), format!("/rustc/{}/library", toolchain.commit)));
        // Through a symbolic link, cargo uses the link's path and compilers the resolved one.
        mapping.into_iter().flat_map(with_target_of_link).collect()
    }
}

/// The folder with its name, plus the resolved folder if the path differs.
fn with_target_of_link((folder, name): (PathBuf, String)) -> Vec<(PathBuf, String)> {
    let leads_to = folder.canonicalize().ok().filter(|path| *path != folder);
    let mut both = vec![(folder, name.clone())];
    both.extend(leads_to.map(|path| (path, name)));
    both
}

/// The command that builds the executable `binary`.
///
/// `packages` are those of all executables of a release, in whatever step each is built: cargo
/// unifies the features of the selected packages, so that a dependency is compiled once for all
/// of them, and a binary has the same bytes built alone or with the others.
pub fn command(
    folders: &Folders,
    toolchain: &Toolchain,
    target: Target,
    packages: &[&str],
    binary: &str,
) -> Command {
    let mapping = folders.mapping(toolchain);
    let mut command = Command::new("cargo", &folders.root)
        .args(["build", "--locked", "--profile", PROFILE, "--target", &target.triple()])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--bin", binary])
        .arg("--target-dir")
        .arg(&folders.target);
    if target.standard == Standard::Source {
        // Both panic runtimes (`std` includes unwinding): the profile selects one. The variable is
        // the one of cargo's own tests for the source; by default cargo uses the toolchain's
        // folder, which must not be modified.
        command = command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", &folders.library);
    }
    if target.wants_pie() {
        command = command.env(linker_variable(target), &folders.pie_linker);
    } else if target.cross {
        command = command.env(linker_variable(target), target.c_compiler());
    }
    command = command
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(target, &mapping))
        .env("CFLAGS", c_flags(&mapping))
        .env("CARGO_INCREMENTAL", "0")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        // Build timestamps in code are the same for every commit.
        .env("SOURCE_DATE_EPOCH", "0");
    for name in KEPT_OUT {
        command = command.without_env(*name);
    }
    command
}

/// cargo's variable for the linker of a target.
fn linker_variable(target: Target) -> String {
    let triple = target.triple().replace('-', "_").to_uppercase();
    format!("CARGO_TARGET_{triple}_LINKER")
}

/// Path of the executable `binary`, with debug information, after [`command`].
pub fn output(target_folder: &Path, target: Target, binary: &str) -> PathBuf {
    target_folder.join(target.triple()).join(PROFILE).join(binary)
}

/// The commands that split the executable `built` into `stripped`, with the crate list from the
/// file `crates`, and `debug` with the debug information, which `stripped` refers to. Debug
/// information has no identity: it is the same for every version of the same code.
pub fn split(
    toolchain: &Toolchain,
    built: &Path,
    crates: &Path,
    stripped: &Path,
    debug: &Path,
) -> [Command; 2] {
    let folder = debug.parent().unwrap_or(Path::new("/"));
    let objcopy = || {
        Command::new(toolchain.program("rust-objcopy").to_string_lossy(), folder)
            .env("LD_LIBRARY_PATH", toolchain.libraries())
    };
    let with = |option: &str, path: &Path| {
        let mut argument = OsString::from(option);
        argument.push(path);
        argument
    };
    [
        objcopy()
            .args(["--only-keep-debug", "--compress-debug-sections=zlib"])
            .arg(format!("--remove-section={}", build_info::SECTION))
            .arg(built)
            .arg(debug),
        objcopy()
            .arg("--strip-all")
            .arg(with(&format!("--add-section={}=", auditable::SECTION), crates))
            .arg(with("--add-gnu-debuglink=", debug))
            .arg(built)
            .arg(stripped),
    ]
}

/// `CARGO_ENCODED_RUSTFLAGS`: flags joined by unit separators, so that paths may contain spaces. It
/// overrides every other source of flags, including user configuration.
fn rust_flags(target: Target, mapping: &[(PathBuf, String)]) -> OsString {
    let mut flags = vec![OsString::from("-Ctarget-feature=+crt-static")];
    if target.libc == Libc::Musl && target.cross {
        // Otherwise the cross compiler links the start files of another C library.
        flags.push("-Clink-self-contained=yes".into());
    }
    for (folder, name) in mapping {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder);
        flag.push("=");
        flag.push(name);
        flags.push(flag);
    }
    flags.join(std::ffi::OsStr::new("\u{1f}"))
}

/// `CFLAGS` for C code in dependencies. Paths with spaces are omitted, because the crate `cc`
/// splits at spaces; the check of the finished binary detects folders that remain.
fn c_flags(mapping: &[(PathBuf, String)]) -> OsString {
    let flags: Vec<OsString> = mapping
        .iter()
        .filter(|(folder, _)| !folder.to_string_lossy().contains(' '))
        .map(|(folder, name)| {
            let mut flag = OsString::from("-ffile-prefix-map=");
            flag.push(folder);
            flag.push("=");
            flag.push(name);
            flag
        })
        .collect();
    flags.join(std::ffi::OsStr::new(" "))
}

fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(cargo_home.join("registry/src")) else {
        // No crate was fetched yet, or all are vendored.
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders
}

/// cargo's home folder.
///
/// # Errors
/// When neither `CARGO_HOME` nor `HOME` is set.
pub fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(folder) => Ok(folder.into()),
        None => Ok(home()?.join(".cargo")),
    }
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")
}

#[cfg(test)]
mod tests {
    use release::Architecture;

    use super::*;
    use crate::toolchain::Libc;

    fn toolchain() -> Toolchain {
        Toolchain {
            version: "1.95.0".to_owned(),
            commit: "5980".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            sysroot: "/opt/rust".into(),
        }
    }

    fn folders(cargo_home: &Path) -> Folders {
        Folders {
            root: "/home/a b/src".into(),
            target: "/home/a b/src/target/xtask/build".into(),
            cargo_home: cargo_home.to_owned(),
            library: "/home/a b/src/target/tools/rust-src/1.95.0/library".into(),
            pie_linker: "/linker".into(),
        }
    }

    const NATIVE: Target = Target {
        architecture: Architecture::Amd64,
        libc: Libc::Musl,
        standard: Standard::Installed,
        cross: false,
    };

    fn variable<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
        let found = command.env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn another_processor_wants_its_linker_and_the_source_of_the_standard_library() {
        let target = Target {
            architecture: Architecture::Arm64,
            libc: Libc::Glibc,
            standard: Standard::Source,
            cross: true,
        };
        let folders = folders(Path::new("/cargo"));
        let command = command(&folders, &toolchain(), target, &["p"], "b");
        let line: Vec<_> = command.args.iter().map(|it| it.to_str().unwrap()).collect();
        let line = line.join(" ");
        assert!(line.contains(" --target aarch64-unknown-linux-gnu "), "{line}");
        assert!(line.ends_with(" -Zbuild-std=std,panic_abort"), "{line}");
        let linker = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER";
        assert_eq!(variable(&command, linker), Some("/linker"));
        assert!(variable(&command, "__CARGO_TESTS_ONLY_SRC_ROOT").unwrap().ends_with("/library"));

        let musl = Target { libc: Libc::Musl, standard: Standard::Installed, ..target };
        let command = super::command(&folders, &toolchain(), musl, &["p"], "b");
        let linker = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER";
        assert_eq!(variable(&command, linker), Some("aarch64-linux-gnu-gcc"));
        assert_eq!(variable(&command, "RUSTC_BOOTSTRAP"), None);
    }

    #[test]
    fn the_linker_always_links_a_static_pie() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join(PIE_LINKER);
        std::fs::write(&script, pie_linker("echo")).unwrap();
        let run = std::process::Command::new("sh")
            .arg(&script)
            .args(["a b", "-static", "-lc", "-no-pie", ""])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(run.stdout).unwrap(), "-static-pie a b -lc \n");
    }

    #[test]
    fn a_registry_behind_a_link_is_mapped_by_both_of_its_paths() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(elsewhere.path().join("src/index-1")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join("registry")).unwrap();
        let command = command(&folders(home.path()), &toolchain(), NATIVE, &["p"], "b");
        let flags = variable(&command, "CARGO_ENCODED_RUSTFLAGS").unwrap();
        for path in [home.path().join("registry/src/index-1"), elsewhere.path().join("src/index-1")]
        {
            let flag = format!("--remap-path-prefix={}=/build/registry", path.display());
            assert!(flags.contains(&flag), "{flag}: {flags}");
        }
    }

    #[test]
    fn folders_are_mapped_and_a_mirror_looks_like_any_registry() {
        let home = tempfile::tempdir().unwrap();
        for registry in ["mirror-2", "index-1"] {
            std::fs::create_dir_all(home.path().join("registry/src").join(registry)).unwrap();
        }
        let command = command(&folders(home.path()), &toolchain(), NATIVE, &["p"], "b");
        let variable = |name: &str| {
            variable(&command, name).unwrap().replace(home.path().to_str().unwrap(), "CARGO")
        };
        let flags = variable("CARGO_ENCODED_RUSTFLAGS");
        let flags: Vec<_> = flags.split('\u{1f}').collect();
        assert_eq!(
            flags,
            [
                "-Ctarget-feature=+crt-static",
                "--remap-path-prefix=/opt/rust=/build/rust",
                "--remap-path-prefix=/opt/rust/lib/rustlib/src/rust=/rustc/5980",
                "--remap-path-prefix=CARGO=/build/cargo",
                "--remap-path-prefix=CARGO/registry/src/index-1=/build/registry",
                "--remap-path-prefix=CARGO/registry/src/mirror-2=/build/registry",
                "--remap-path-prefix=/home/a b/src=/build/source",
                "--remap-path-prefix=/home/a b/src/target/xtask/build=/build/target",
                "--remap-path-prefix=/home/a b/src/target/tools/rust-src/1.95.0/library=/rustc/5980/library",
            ]
        );
        let cflags = variable("CFLAGS");
        assert!(cflags.starts_with("-ffile-prefix-map=/opt/rust=/build/rust "), "{cflags}");
        assert!(!cflags.contains("a b"), "{cflags}");
        assert_eq!(command.removed, KEPT_OUT);
    }
}
