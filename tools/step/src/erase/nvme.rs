// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! NVM Express: what a controller supports, and the progress of a sanitize operation.
//!
//! Reads the binary structures of the NVM Express Base Specification 2.0, which do not differ
//! between versions of nvme-cli as its texts do.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::method::Method;
use crate::command;
use crate::program::Program;

/// Pause between queries of the progress.
const PAUSE: Duration = Duration::from_secs(5);
/// Limit of a sanitize operation. Block erases take minutes.
const LIMIT: Duration = Duration::from_hours(24);

/// Number of namespaces that share the media with the disk at `sysfs`.
pub(super) fn namespaces(sysfs: &Path) -> Result<usize> {
    let folder = sysfs.join("device");
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names.filter(|name| is_namespace(&name.to_string_lossy())).count())
}

/// Whether `name` is `nvmeXnY`, and not a path `nvmeXcZnY` of one.
fn is_namespace(name: &str) -> bool {
    let numbers = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(controller, number)| is_number(controller) && is_number(number))
}

/// Chooses a method by the Identify Controller structure. Sanitize erases all namespaces, and so do
/// formats of some controllers: both need a namespace that `is_alone`.
pub(super) fn choose(controller: &[u8], is_alone: bool) -> Option<Method> {
    let byte = |at: usize| controller.get(at).copied().unwrap_or_default();
    // SANICAP (bytes 331:328), OACS (257:256) and FNA (524).
    let (sanitize, commands) = (byte(328), byte(256));
    let formats_one = byte(524).trailing_zeros() >= 2;
    if is_alone && sanitize & 0b10 != 0 {
        Some(Method::NvmeSanitizeBlock)
    } else if is_alone && sanitize & 0b01 != 0 {
        Some(Method::NvmeSanitizeCrypto)
    } else if commands & 0b10 != 0 && (is_alone || formats_one) {
        Some(Method::NvmeFormat)
    } else {
        None
    }
}

/// State of a sanitize operation.
#[derive(Debug, PartialEq, Eq)]
enum Sanitize {
    Running { percent: u32 },
    Done,
    Failed,
}

/// Reads the Sanitize Status log page.
fn status(log: &[u8]) -> Option<Sanitize> {
    let [low, high, state] = *log.first_chunk()?;
    match state & 0b111 {
        // 4: completed, and blocks were deallocated although that was not requested.
        1 | 4 => Some(Sanitize::Done),
        2 => {
            let progress = u32::from(u16::from_le_bytes([low, high]));
            Some(Sanitize::Running { percent: progress * 100 / 65536 })
        }
        3 => Some(Sanitize::Failed),
        _ => None,
    }
}

/// Waits for the end of the sanitize operation of `disk`.
pub(crate) fn await_sanitize(disk: &Path) -> Result<()> {
    let shown = disk.display().to_string();
    let program = Program::new("nvme", ["sanitize-log", "--raw-binary", &shown]);
    let (deadline, mut last) = (Instant::now() + LIMIT, None);
    loop {
        let status = status(&command::capture(&program)?);
        match status.with_context(|| format!("{shown} has not started to sanitize"))? {
            Sanitize::Done => return Ok(()),
            Sanitize::Failed => {
                bail!("{shown} reports that sanitize failed; fix: replace the disk, or reset it")
            }
            Sanitize::Running { percent } if last != Some(percent) => {
                eprintln!("sanitize {shown}: {percent} %");
                last = Some(percent);
            }
            Sanitize::Running { .. } => {}
        }
        ensure!(Instant::now() < deadline, "{shown} has not finished to sanitize in a day");
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_never_reaches_another_namespace() {
        let controller = |sanitize, commands, format| {
            let mut bytes = [0; 4096];
            (bytes[328], bytes[256], bytes[524]) = (sanitize, commands, format);
            bytes
        };
        for (sanitize, commands, format, alone, shared) in [
            (0b011, 0b10, 0, Some(Method::NvmeSanitizeBlock), Some(Method::NvmeFormat)),
            (0b001, 0b10, 0b10, Some(Method::NvmeSanitizeCrypto), None),
            (0b100, 0b10, 0b01, Some(Method::NvmeFormat), None),
            (0b100, 0b00, 0, None, None),
        ] {
            let bytes = controller(sanitize, commands, format);
            assert_eq!((choose(&bytes, true), choose(&bytes, false)), (alone, shared));
        }
        assert_eq!(choose(b"short", true), None);
    }

    #[test]
    fn paths_of_a_namespace_are_not_counted() {
        assert!(is_namespace("nvme0n1") && is_namespace("nvme12n34"));
        for name in ["nvme0", "nvme0c0n1", "ng0n1", "nvme0n1p1", "nvmen1"] {
            assert!(!is_namespace(name), "{name}");
        }
    }

    #[test]
    fn the_status_is_read_from_the_log_page() {
        let log = |progress: u16, state: u8| {
            let [low, high] = progress.to_le_bytes();
            status(&[low, high, state, 0])
        };
        assert_eq!(log(0x8000, 2), Some(Sanitize::Running { percent: 50 }));
        assert_eq!(log(0xffff, 0x101_u16.to_le_bytes()[0]), Some(Sanitize::Done));
        assert_eq!((log(0, 4), log(0, 3)), (Some(Sanitize::Done), Some(Sanitize::Failed)));
        assert_eq!((log(0xffff, 0), status(b"")), (None, None));
    }
}
