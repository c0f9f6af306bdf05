// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reference tools: programs and files that tests compare our results with, and no step uses. Any
//! version is accepted.

use super::program::{Source, Spec};

/// A Python module of a Debian package, which the unpacked cloud-init imports.
macro_rules! python {
    ($path:literal, $package:literal) => {
        debian(
            concat!("/usr/lib/python3/dist-packages/", $path),
            $package,
            "is needed by cloud-init",
        )
    };
}

/// All reference tools, sorted by name. A name with a `/` is a file of a package without a program.
pub const REFERENCE_TOOLS: &[Spec] = &[
    debian("/usr/lib/ISOLINUX/isolinux.bin", "isolinux", "starts ISO images that we write"),
    debian("/usr/lib/grub/i386-pc/modinfo.sh", "grub-pc-bin", "is installed by a step"),
    debian(
        "/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi",
        "grub-efi-amd64-bin",
        "starts ISO images that we write; is installed by a step",
    ),
    python!("configobj/__init__.py", "python3-configobj"),
    python!("jinja2/__init__.py", "python3-jinja2"),
    python!("jsonpatch.py", "python3-jsonpatch"),
    python!("jsonschema/__init__.py", "python3-jsonschema"),
    python!("requests/__init__.py", "python3-requests"),
    python!("yaml/__init__.py", "python3-yaml"),
    debian("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common", "belongs to isolinux"),
    debian(
        "/usr/share/AAVMF/AAVMF_CODE.fd",
        "qemu-efi-aarch64",
        "is UEFI firmware of virtual machines for arm64",
    ),
    debian("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf", "is UEFI firmware of virtual machines"),
    debian("7z", "p7zip-full", "reads ISO images that we write"),
    debian("apt-ftparchive", "apt-utils", "writes the apt repository of a release page"),
    debian("apt-get", "apt", "reads the apt repository that we write"),
    debian("blkid", "util-linux", "shows what a step wrote to a disk"),
    debian("busybox", "busybox-static", "is the user space of virtual machines"),
    debian("chromium", "chromium", "shows the controller's pages"),
    // Installed, it would reconfigure the host at the next boot.
    unpack_from("cloud-init", "cloud-init", "usr/bin/cloud-init", "reads config drives"),
    // Installed, it would start a service.
    unpack_from(
        "docker-registry",
        "docker-registry",
        "usr/bin/docker-registry",
        "serves as third-party registry",
    ),
    // No stable suite has it.
    Spec::new(
        "crane",
        Source::Pinned { package: "crane", file: "usr/bin/crane" },
        "serves as third-party registry",
    )
    .version(&[]),
    debian("createrepo_c", "createrepo-c", "writes the dnf repository of a release page"),
    debian("dnf", "dnf", "reads the dnf repository that we write"),
    debian("dpkg", "dpkg", "installs the packages that we write"),
    debian("efibootmgr", "efibootmgr", "is run by a step"),
    debian("genisoimage", "genisoimage", "writes ISO images that we read"),
    debian("getfacl", "acl", "shows what a step unpacked"),
    debian("getfattr", "attr", "shows what a step unpacked"),
    Spec {
        name: "git-cliff",
        version: &[],
        oldest: &[],
        source: Source::Python,
        purpose: "computes versions from commits",
    },
    debian("gpg", "gpg", "signs the repositories of a release page"),
    debian("gpg-agent", "gpg-agent", "reads the key that signs them"),
    debian("grub-install", "grub2-common", "is run by a step"),
    debian("grub-mkimage", "grub-common", "is run by a step"),
    debian("hivexget", "libhivex-bin", "reads the registry that a step wrote"),
    debian("hivexregedit", "libwin-hivex-perl", "is run by a step"),
    debian("hivexsh", "libhivex-bin", "reads the boot configuration that a step wrote"),
    debian("htpasswd", "apache2-utils", "creates password files of the registry"),
    // Installed, it would become the host's boot kernel.
    unpack_from(
        "kernel-for-tests",
        "linux-image-cloud-amd64",
        "boot/vmlinuz-",
        "mounts ISO images that we write",
    ),
    debian("lowntfs-3g", "ntfs-3g", "is run by a step"),
    debian("mcopy", "mtools", "is run by a step"),
    debian("mdir", "mtools", "lists what a step wrote"),
    debian("mformat", "mtools", "creates the EFI system partition of our ISO images"),
    debian("mkfs.btrfs", "btrfs-progs", "is run by a step"),
    debian("mkfs.ext4", "e2fsprogs", "is run by a step"),
    debian("mkfs.ntfs", "ntfs-3g", "is run by a step"),
    debian("mkfs.vfat", "dosfstools", "is run by a step"),
    debian("mkfs.xfs", "xfsprogs", "is run by a step"),
    debian("mmd", "mtools", "creates folders in the EFI system partition of our ISO images"),
    // Installed, it would start a service.
    unpack_from("nginx", "nginx", "usr/sbin/nginx", "serves as reference for our media service"),
    debian("ntfscat", "ntfs-3g", "reads what a step wrote"),
    debian("openssl", "openssl", "creates task keys, and verifies tasks"),
    debian("partprobe", "parted", "is run by a step"),
    debian("qemu-system-aarch64", "qemu-system-arm", "starts virtual machines"),
    debian("qemu-system-x86_64", "qemu-system-x86", "starts virtual machines"),
    debian("rpm", "rpm", "installs the packages that we write"),
    debian("setfacl", "acl", "creates access lists that a step unpacks"),
    debian("setfattr", "attr", "creates attributes that a step unpacks"),
    debian("sgdisk", "gdisk", "is run by a step"),
    debian("ssh-keygen", "openssh-client", "signs tags"),
    debian("strace", "strace", "shows how the dispatcher mounts"),
    debian("systemd-analyze", "systemd", "reads the units that we ship"),
    debian("systemd-tmpfiles", "systemd", "reads environment files that we write"),
    debian("udevadm", "udev", "shows GRUB the partitions"),
    debian("unsquashfs", "squashfs-tools", "lists where two images differ"),
    debian("wimlib-imagex", "wimtools", "is run by a step"),
];

/// A program or file of a Debian package that is safe to install.
const fn debian(name: &'static str, package: &'static str, purpose: &'static str) -> Spec {
    Spec::new(name, Source::Debian(package), purpose).version(&[])
}

/// A program of a package that must not be installed on the host.
const fn unpack_from(
    name: &'static str,
    package: &'static str,
    file: &'static str,
    purpose: &'static str,
) -> Spec {
    Spec::new(name, Source::Unpacked { package, file }, purpose).version(&[])
}
