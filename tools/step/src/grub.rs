// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! GRUB configuration files, from the plan and the kernels of the image.

mod accept;

use std::cmp::Ordering;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::Serialize;

pub(crate) use accept::{accept, temporary_path};

use crate::files;
use crate::tree;

/// File systems that GRUB has to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Boot {
    /// UUID of the root file system.
    pub(crate) root_uuid: String,
    /// UUID of the file system with `/boot`, if it is not the root.
    pub(crate) boot_uuid: Option<String>,
}

/// A kernel of the installed system.
#[derive(Debug, PartialEq, Eq)]
struct Kernel {
    version: String,
    /// Paths in the installed system.
    image: String,
    initrd: Option<String>,
}

/// The distribution's kernel command line (kernel-install(8)).
const CMDLINE: &str = "/etc/kernel/cmdline";
/// Prefix and suffix of the initrd for a kernel version: Debian, Fedora, openSUSE.
const INITRDS: [(&str, &str); 3] = [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", "")];

impl Boot {
    /// Path of `/boot` on the file system that contains it.
    fn boot_folder(&self) -> &'static str {
        if self.boot_uuid.is_some() { "" } else { "/boot" }
    }

    fn uuid(&self) -> &str {
        self.boot_uuid.as_deref().unwrap_or(&self.root_uuid)
    }

    /// The minimal configuration that finds the real one, at Debian's or Fedora's path.
    pub(crate) fn early_config(&self) -> String {
        let (uuid, boot) = (self.uuid(), self.boot_folder());
        format!(
            "search --no-floppy --fs-uuid --set=root {uuid}\n\
             set prefix=($root){boot}/grub\n\
             if [ ! -f $prefix/grub.cfg ]; then set prefix=($root){boot}/grub2; fi\n\
             configfile $prefix/grub.cfg\n"
        )
    }

    /// The main configuration, with a menu entry for each kernel.
    fn config(&self, kernels: &[Kernel], cmdline: &str) -> String {
        let mut out = String::from("set default=0\nset timeout=3\n");
        for kernel in kernels {
            // A kernel outside of /boot is on the root file system.
            let in_boot = kernel.image.starts_with("/boot/");
            let uuid = if in_boot { self.uuid() } else { &self.root_uuid };
            let on_disk = |path: &str| match path.strip_prefix("/boot") {
                Some(rest) => format!("{}{rest}", self.boot_folder()),
                None => path.to_owned(),
            };
            let (image, root) = (on_disk(&kernel.image), &self.root_uuid);
            out.push_str(&format!(
                "menuentry 'Linux {}' {{\n\
                 \x20 search --no-floppy --fs-uuid --set=root {uuid}\n\
                 \x20 linux {image} root=UUID={root} {cmdline}\n",
                kernel.version
            ));
            if let Some(initrd) = &kernel.initrd {
                out.push_str(&format!("  initrd {}\n", on_disk(initrd)));
            }
            out.push_str("}\n");
        }
        out
    }
}

/// Writes `/boot/grub/grub.cfg` of the system at `root`, or `/boot/grub2/grub.cfg` if that folder
/// exists.
pub(crate) fn write_config(root: &Path, boot: &Boot) -> Result<()> {
    let kernels = kernels(root)?;
    ensure!(
        !kernels.is_empty(),
        "the image has no kernel: neither /boot/vmlinuz* nor /usr/lib/modules/*/vmlinuz"
    );
    let folder =
        if tree::exists(root, Path::new("/boot/grub2")) { "/boot/grub2" } else { "/boot/grub" };
    let folder = tree::folder(root, Path::new(folder))?;
    let config = boot.config(&kernels, &cmdline(root));
    files::write_atomically(&folder.join("grub.cfg"), 0o600, config.as_bytes())
}

/// The image's kernel command line without `root=`, or the default.
fn cmdline(root: &Path) -> String {
    let mut text = String::new();
    let read =
        tree::open(root, Path::new(CMDLINE)).map(|file| file.take(4096).read_to_string(&mut text));
    let text = if matches!(read, Ok(Ok(_))) { text.as_str() } else { "ro" };
    // Excludes GRUB syntax characters, which no kernel option needs.
    let plain = |word: &&str| {
        !word.starts_with("root=")
            && !word.contains([';', '&', '|', '<', '>', '{', '}', '$', '\'', '"', '\\'])
    };
    text.split_whitespace().filter(plain).collect::<Vec<_>>().join(" ")
}

/// Lists the kernels of the system at `root`, newest first.
fn kernels(root: &Path) -> Result<Vec<Kernel>> {
    let has = |path: &str| tree::exists(root, Path::new(path)).then(|| path.to_owned());
    let mut found = Vec::new();
    for name in names(root, "/boot")? {
        let Some(rest) = name.strip_prefix("vmlinuz") else { continue };
        let version = rest.trim_start_matches('-');
        let initrd = if version.is_empty() {
            has("/boot/initrd.img").or_else(|| has("/boot/initrd"))
        } else {
            INITRDS
                .iter()
                .find_map(|(before, after)| has(&format!("/boot/{before}{version}{after}")))
        };
        found.push(Kernel { version: version.to_owned(), image: format!("/boot/{name}"), initrd });
    }
    if found.is_empty() {
        for version in names(root, "/usr/lib/modules")? {
            let folder = format!("/usr/lib/modules/{version}");
            if let Some(image) = has(&format!("{folder}/vmlinuz")) {
                let initrd = has(&format!("{folder}/initramfs.img"));
                found.push(Kernel { version, image, initrd });
            }
        }
    }
    // GRUB would misparse names with spaces or quotes.
    found.retain(|kernel| {
        kernel.version.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c))
    });
    found.sort_by(|a, b| compare_versions(&b.version, &a.version));
    Ok(found)
}

fn names(root: &Path, path: &str) -> Result<Vec<String>> {
    if !tree::exists(root, Path::new(path)) {
        return Ok(Vec::new());
    }
    let folder: PathBuf = tree::folder(root, Path::new(path))?;
    let entries = fs::read_dir(folder)?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Compares version numbers: `6.9` before `6.10`, and `6.1` before `6.1.2`.
fn compare_versions(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

/// Splits into numbers and text. Numbers sort above text, so that `6.1` is above `6.1~rc1`, since
/// `~` sorts lowest in Debian's order.
fn parts(version: &str) -> Vec<(u8, u64, String)> {
    let mut out: Vec<(u8, u64, String)> = Vec::new();
    for part in version.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let (digits, rest) =
            part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
        if let Ok(number) = digits.parse() {
            out.push((2, number, String::new()));
        }
        if !rest.is_empty() {
            out.push((u8::from(rest != "~"), 0, rest.to_owned()));
        }
    }
    // The end of a version sorts between `~` and everything else.
    out.push((1, 0, String::new()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_count() {
        let mut versions =
            ["6.10", "6.9", "6.1", "6.1.2", "6.1~rc1", "6.1-9-amd64", "6.1-10-amd64"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(
            versions,
            ["6.1~rc1", "6.1", "6.1-9-amd64", "6.1-10-amd64", "6.1.2", "6.9", "6.10"]
        );
    }

    fn root_with(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn boot(separate: bool) -> Boot {
        Boot { root_uuid: "ROOT".into(), boot_uuid: separate.then(|| "BOOT".into()) }
    }

    #[test]
    fn each_kernel_has_an_entry_the_newest_first() {
        let root = root_with(&[
            "boot/vmlinuz-6.9-amd64",
            "boot/initrd.img-6.9-amd64",
            "boot/vmlinuz-6.12-amd64",
            "boot/vmlinuz-6.1 'x'",
            "boot/System.map-6.9-amd64",
            "etc/kernel/cmdline",
        ]);
        fs::write(root.path().join("etc/kernel/cmdline"), "root=/dev/x console=ttyS0 a;b\n")
            .unwrap();
        write_config(root.path(), &boot(false)).unwrap();
        let text = fs::read_to_string(root.path().join("boot/grub/grub.cfg")).unwrap();
        assert_eq!(
            text,
            "set default=0\nset timeout=3\n\
             menuentry 'Linux 6.12-amd64' {\n\
             \x20 search --no-floppy --fs-uuid --set=root ROOT\n\
             \x20 linux /boot/vmlinuz-6.12-amd64 root=UUID=ROOT console=ttyS0\n\
             }\n\
             menuentry 'Linux 6.9-amd64' {\n\
             \x20 search --no-floppy --fs-uuid --set=root ROOT\n\
             \x20 linux /boot/vmlinuz-6.9-amd64 root=UUID=ROOT console=ttyS0\n\
             \x20 initrd /boot/initrd.img-6.9-amd64\n\
             }\n"
        );
    }

    #[test]
    fn a_boot_volume_is_where_grub_starts() {
        let root = root_with(&["boot/vmlinuz-6.9", "boot/initramfs-6.9.img", "boot/grub2/grubenv"]);
        write_config(root.path(), &boot(true)).unwrap();
        let text = fs::read_to_string(root.path().join("boot/grub2/grub.cfg")).unwrap();
        assert!(
            text.contains("--set=root BOOT\n  linux /vmlinuz-6.9 root=UUID=ROOT ro\n"),
            "{text}"
        );
        assert!(text.contains("initrd /initramfs-6.9.img\n"), "{text}");
        let early = boot(true).early_config();
        assert!(early.contains("--set=root BOOT\nset prefix=($root)/grub\n"), "{early}");
        assert!(boot(false).early_config().contains("($root)/boot/grub2"));
    }

    #[test]
    fn a_kernel_beside_its_modules_is_on_the_root() {
        let root = root_with(&[
            "boot/efi/x",
            "usr/lib/modules/6.9/vmlinuz",
            "usr/lib/modules/6.9/initramfs.img",
        ]);
        write_config(root.path(), &boot(true)).unwrap();
        let text = fs::read_to_string(root.path().join("boot/grub/grub.cfg")).unwrap();
        assert!(text.contains("--set=root ROOT\n  linux /usr/lib/modules/6.9/vmlinuz"), "{text}");
    }

    #[test]
    fn an_image_without_a_kernel_is_refused() {
        let root = root_with(&["boot/config-6.9"]);
        let error = write_config(root.path(), &boot(false)).unwrap_err().to_string();
        assert!(error.contains("the image has no kernel"), "{error}");
    }
}
