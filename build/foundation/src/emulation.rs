// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether this host runs programs of another architecture with QEMU by `binfmt_misc` (kernel
//! documentation, "Kernel Support for miscellaneous Binary Formats").

use std::path::Path;

use release::Architecture;

/// Folder of the kernel's binfmt handlers.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// Architecture of this host, as of this build of xtask.
pub fn host() -> Architecture {
    match std::env::consts::ARCH {
        "aarch64" => Architecture::Arm64,
        _ => Architecture::Amd64,
    }
}

/// Program of the package qemu-user-static for `architecture`; `None` for the host's own.
pub fn emulator(architecture: Architecture) -> Option<&'static str> {
    if architecture.rust() == std::env::consts::ARCH {
        return None;
    }
    Some(match architecture {
        Architecture::Amd64 => "qemu-x86_64-static",
        Architecture::Arm64 => "qemu-aarch64-static",
    })
}

/// Problem and fix when programs of `architecture` do not run here.
pub fn find_fault(architecture: Architecture) -> Option<(String, String)> {
    emulator(architecture)?;
    find_handler_fault(Path::new(HANDLERS), architecture)
}

/// Name of the handler for programs of `architecture`.
pub fn handler(architecture: Architecture) -> String {
    format!("qemu-{}", architecture.rust())
}

fn find_handler_fault(handlers: &Path, architecture: Architecture) -> Option<(String, String)> {
    let name = handler(architecture);
    let state = std::fs::read_to_string(handlers.join(&name)).unwrap_or_default();
    if state.lines().next() == Some("enabled") {
        return None;
    }
    let problem = format!(
        "programs for {} cannot run here: binfmt_misc has no enabled handler {name} in {}",
        architecture.oci(),
        handlers.display()
    );
    let fix = format!(
        "update-binfmts --enable {name}, as root (packages qemu-user-static and binfmt-support)"
    );
    Some((problem, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_has_to_be_enabled() {
        let folder = tempfile::tempdir().unwrap();
        let fault = || find_handler_fault(folder.path(), Architecture::Arm64);
        assert!(fault().unwrap().1.contains("update-binfmts --enable qemu-aarch64"));
        let write = |text: &str| std::fs::write(folder.path().join("qemu-aarch64"), text).unwrap();
        write("disabled\n");
        assert!(fault().is_some());
        write("enabled\ninterpreter /usr/bin/qemu-aarch64-static\n");
        assert_eq!(fault(), None);
    }

    #[test]
    fn a_machine_runs_its_own_programs() {
        let own = [Architecture::Amd64, Architecture::Arm64]
            .into_iter()
            .find(|it| it.rust() == std::env::consts::ARCH);
        assert_eq!(own.and_then(find_fault), None);
    }
}
