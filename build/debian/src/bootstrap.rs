// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds a root file system from locked package files: offline and reproducible.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use foundation::atomic;
use foundation::command::Command;
use oci::Digest;

/// Paths excluded from all packages, of no use in an image. Copyright files are kept.
const LEFT_OUT: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];

/// Script that cleans up after the installation; `$1` is the root file system. Removes files that
/// differ between hosts and left-overs of the installation; mmdebstrap empties apt's folders.
/// Creates the empty files that container engines mount over, so that their mode is the same in
/// every image.
const TIDY: &str = r#"cd "$1" && rm -rf etc/apt/sources.list etc/*- var/cache/debconf/*-old var/cache/ldconfig/* var/lib/dpkg/*-old var/log/* && for file in hostname hosts resolv.conf; do rm -f "etc/$file" && : > "etc/$file" && chmod 644 "etc/$file"; done"#;

/// Variable with the path of the tar file of native programs, for [`ADD`] and [`REMOVE`].
const NATIVE: &str = "NATIVE_PROGRAMS";

/// Script that puts native programs into the extracted root. dpkg unpacks the packages of the
/// extracted files again, and may unpack others with such a program: a diversion gives each foreign
/// file another name.
const ADD: &str = r#"tar --list --file="$NATIVE_PROGRAMS" | while read -r path; do
    case $path in
    */) ;;
    usr/bin/* | usr/sbin/*)
        [ ! -e "$path" ] || mv "$path" "$path.foreign"
        printf '/%s\n/%s.foreign\n:\n' "$path" "$path" >>var/lib/dpkg/diversions
        ;;
    *) [ ! -e "$path" ] || { echo "native programs: /$path is in the root" >&2; exit 1; } ;;
    esac
done
tar --extract --file="$NATIVE_PROGRAMS""#;

/// Script that undoes [`ADD`]. Fails when something else is in a folder of native libraries.
const REMOVE: &str = r#"tar --list --file="$NATIVE_PROGRAMS" | tac | while read -r path; do
    case $path in
    usr/ | usr/bin/ | usr/lib/ | usr/sbin/) ;;
    */) rmdir "$path" ;;
    *)
        rm "$path"
        [ ! -e "$path.foreign" ] || mv "$path.foreign" "$path"
        ;;
    esac
done
awk '{ entry = entry $0 "\n" } NR % 3 == 1 { from = $0 } NR % 3 == 2 { to = $0 }
    NR % 3 == 0 { if (to != from ".foreign") printf "%s", entry; entry = "" }' \
    var/lib/dpkg/diversions >var/lib/dpkg/diversions-old
cat var/lib/dpkg/diversions-old >var/lib/dpkg/diversions
rm var/lib/dpkg/diversions-old"#;

/// `script` in the root file system `$1`, whose folders keep their times.
fn keep_times(script: &str) -> String {
    format!(
        r#"set -eu
cd "$1"
times=$(mktemp -d)
mkdir -p "$times/usr/bin" "$times/usr/lib" "$times/usr/sbin"
for folder in usr/bin usr/lib usr/sbin usr .; do touch -r "$folder" "$times/$folder"; done
{script}
for folder in usr/bin usr/lib usr/sbin usr .; do touch -r "$times/$folder" "$folder"; done
rm -r "$times""#
    )
}

/// Part of the cache key; changes when roots are built differently from the same packages.
pub const RECIPE: &str = "4";

/// Writes the index of the package files in `folder` (Debian repository format, "flat"), which
/// makes the folder a repository of `suite`.
pub fn index(folder: &Path, suite: &str, packages: &[PackageFile]) -> Result<()> {
    let mut text = String::new();
    for package in packages {
        text.push_str(&format!(
            "{}\nFilename: ./{}\nSize: {}\nSHA256: {}\n\n",
            package.control.trim_end(),
            package.name,
            package.size,
            package.sha256
        ));
    }
    let release = format!(
        "Suite: {suite}\nCodename: {suite}\nSHA256:\n {} {} Packages\n",
        Digest::sha256(text.as_bytes()).hex(),
        text.len()
    );
    atomic::write(&folder.join("Packages"), text.as_bytes())?;
    atomic::write(&folder.join("Release"), release.as_bytes())
}

/// A package file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// File name in the folder.
    pub name: String,
    /// Control data.
    pub control: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// Prints the control data of the package file at `path`.
pub fn control_command(path: &Path) -> Command {
    Command::new("dpkg-deb", "/").arg("--field").arg(path)
}

/// Inputs of a root file system.
#[derive(Debug)]
pub struct Root<'a> {
    /// Repository written by [`index`].
    pub pool: &'a Path,
    /// Suite.
    pub suite: &'a str,
    /// Debian architecture.
    pub architecture: &'a str,
    /// Packages in addition to the essential ones.
    pub packages: &'a BTreeSet<String>,
    /// Additional excluded paths.
    pub without: &'a [String],
    /// Timestamp of all files, in seconds.
    pub epoch: u64,
    /// Tar file of programs that replace those of a foreign root during the installation. The root
    /// is the same without it.
    pub native: Option<&'a Path>,
}

/// The command that builds the root file system `root` as the tar file `output`.
pub fn command(root: &Root<'_>, output: &Path) -> Command {
    let Root { pool, suite, architecture, packages, without, epoch, native } = root;
    let mut source = std::ffi::OsString::from("deb [trusted=yes] copy:");
    source.push(pool);
    source.push(" ./");
    let command = Command::new("mmdebstrap", "/")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .args(["--variant=essential", "--format=tar", "--skip=output/dev"])
        .arg(format!("--architectures={architecture}"))
        .arg("--aptopt=Acquire::Languages \"none\"");
    let without = without.iter().map(|path| format!("path-exclude={path}"));
    let left_out = LEFT_OUT.iter().map(|&option| option.to_owned()).chain(without);
    let command =
        left_out.fold(command, |command, option| command.arg(format!("--dpkgopt={option}")));
    let command = if packages.is_empty() {
        command
    } else {
        let names: Vec<_> = packages.iter().map(String::as_str).collect();
        command.arg(format!("--include={}", names.join(",")))
    };
    let command = match native {
        Some(native) => command
            .env(NATIVE, native)
            .arg(format!("--extract-hook={}", keep_times(ADD)))
            .arg(format!("--customize-hook={}", keep_times(REMOVE))),
        None => command,
    };
    command.arg(format!("--customize-hook={TIDY}")).arg(suite).arg(output).arg(source)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// Runs `script` in `root` with the native programs of the tar file `native`.
    fn run(script: &str, root: &Path, native: &Path) -> std::process::Output {
        std::process::Command::new("sh")
            .args(["-c", &keep_times(script), "exec"])
            .arg(root)
            .env(NATIVE, native)
            .output()
            .unwrap()
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A root with dash, and native programs for it and for kmod.
    fn prepare(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
        let (root, native) = (folder.join("root"), folder.join("native.tar"));
        write(&root, "usr/bin/dash", "foreign");
        write(&root, "usr/bin/uname", "foreign");
        write(&root, "usr/sbin/none", "");
        write(&root, "usr/lib/none", "");
        write(&root, "var/lib/dpkg/status", "");
        let paths =
            ["usr/", "usr/bin/", "usr/bin/dash", "usr/bin/kmod", "usr/lib/", "usr/lib/native/"];
        let mut archive = tar::Builder::new(fs::File::create(&native).unwrap());
        for path in paths.into_iter().chain(["usr/lib/native/libc.so.6"]) {
            let mut header = tar::Header::new_gnu();
            let is_folder = path.ends_with('/');
            header.set_mode(0o755);
            header.set_size(if is_folder { 0 } else { 6 });
            header.set_entry_type(if is_folder {
                tar::EntryType::Directory
            } else {
                tar::EntryType::Regular
            });
            let content: &[u8] = if is_folder { b"" } else { b"native" };
            archive.append_data(&mut header, path, content).unwrap();
        }
        archive.finish().unwrap();
        (root, native)
    }

    #[test]
    fn native_programs_leave_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let (root, native) = prepare(folder.path());
        let time = |path: &str| {
            let metadata = root.join(path).metadata().unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        let times = || ["", "usr", "usr/bin", "usr/lib", "usr/sbin"].map(time);
        let before = times();

        let done = run(ADD, &root, &native);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(times(), before);
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(read("usr/bin/dash"), "native");
        assert_eq!(read("usr/bin/dash.foreign"), "foreign");
        assert_eq!(read("usr/bin/uname"), "foreign");

        // What dpkg does: it unpacks to the diverted paths, and a package adds a diversion.
        write(&root, "usr/bin/dash.foreign", "unpacked again");
        write(&root, "usr/bin/kmod.foreign", "foreign");
        let other = "/lib32\n/.lib32.usr-is-merged\nbase-files\n";
        let ours = read("var/lib/dpkg/diversions");
        let kmod = ours.find("/usr/bin/kmod\n").unwrap();
        let (dash, kmod) = ours.split_at(kmod);
        assert_eq!(dash, "/usr/bin/dash\n/usr/bin/dash.foreign\n:\n");
        write(&root, "var/lib/dpkg/diversions", &format!("{dash}{other}{kmod}"));
        let before = times();

        let done = run(REMOVE, &root, &native);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(times(), before);
        let expected = [
            ("usr/bin/dash", "unpacked again"),
            ("usr/bin/kmod", "foreign"),
            ("usr/bin/uname", "foreign"),
            ("usr/lib/none", ""),
            ("usr/sbin/none", ""),
            ("var/lib/dpkg/diversions", other),
            ("var/lib/dpkg/status", ""),
        ];
        let expected = expected.map(|(path, text)| (path.into(), text.as_bytes().to_vec()));
        assert_eq!(test_support::folder::tree(&root), expected.into());
        assert!(!root.join("usr/lib/native").exists());
    }

    #[test]
    fn native_libraries_of_a_foreign_package_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, native) = prepare(folder.path());
        write(&root, "usr/lib/native/libc.so.6", "foreign");
        let done = run(ADD, &root, &native);
        assert!(!done.status.success());
        let error = String::from_utf8(done.stderr).unwrap();
        assert_eq!(error, "native programs: /usr/lib/native/libc.so.6 is in the root\n");
    }

    #[test]
    fn a_root_of_the_hosts_architecture_has_no_other_hooks() {
        let packages = BTreeSet::new();
        let mut root = Root {
            pool: Path::new("/pool"),
            suite: "trixie",
            architecture: "amd64",
            packages: &packages,
            without: &[],
            epoch: 7,
            native: None,
        };
        let hooks = |root: &Root<'_>| {
            let command = command(root, Path::new("/root.tar"));
            let args = command.args.iter().map(|it| it.to_string_lossy().into_owned());
            let hooks = args.filter(|it| it.contains("-hook="));
            (hooks.collect::<Vec<_>>(), command.env.iter().any(|(name, _)| name == NATIVE))
        };
        let tidy = format!("--customize-hook={TIDY}");
        assert_eq!(hooks(&root), (vec![tidy.clone()], false));
        root.native = Some(Path::new("/native.tar"));
        let (found, has_programs) = hooks(&root);
        assert!(has_programs);
        // Before the clean-up, which removes dpkg's backups.
        assert_eq!(found.len(), 3);
        assert_eq!(found.last(), Some(&tidy));
    }
}
