// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Identity of a program: product, version, commit. Stamped into a linked executable as the text of
//! an ELF note (The UAPI Group, "ELF Package Metadata"), shown by `readelf --notes`, systemd's
//! coredump tools, and the program itself (crate `build-info`).

use std::path::Path;

use anyhow::{Context as _, Result};
use build_info::stamp;
use foundation::epoch::rfc3339;
use foundation::{atomic, file};
use release::Architecture;

/// Common data of a build's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Product name.
    pub product: &'a str,
    /// Semantic version without a leading `v`.
    pub version: &'a str,
    /// Full Git commit id.
    pub commit: &'a str,
    /// `SOURCE_DATE_EPOCH` in seconds.
    pub epoch: u64,
}

impl Identity<'_> {
    /// Note text of the program `name` for `architecture`.
    ///
    /// # Errors
    /// When the epoch is out of range.
    pub fn text(&self, name: &str, architecture: Architecture) -> Result<String> {
        let text = serde_json::json!({
            "type": self.product,
            "name": name,
            "version": self.version,
            "architecture": architecture.rust(),
            "commit": self.commit,
            "date": rfc3339(self.epoch)?,
        });
        Ok(text.to_string())
    }

    /// Output of `--version` after the program's name.
    ///
    /// # Errors
    /// When the epoch is out of range.
    pub fn long_version(&self) -> Result<String> {
        let identity = build_info::Identity {
            version: self.version.to_owned(),
            commit: Some(self.commit.to_owned()),
            date: Some(rfc3339(self.epoch)?),
        };
        Ok(identity.long_version())
    }
}

/// Writes `text` to the identity note of the executable `path` and makes the file executable.
///
/// # Errors
/// When it has no identity note, `text` does not fit, or the file cannot be read or written.
pub fn stamp_file(path: &Path, text: &str) -> Result<()> {
    let mut bytes = file::read(path)?;
    stamp::stamp(&mut bytes, text)
        .with_context(|| format!("cannot stamp the identity into {}", path.display()))?;
    atomic::write_executable(path, &bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const IDENTITY: Identity<'static> =
        Identity { product: "product", version: "1.2.3", commit: "0f3c", epoch: 1_760_000_000 };

    #[test]
    fn the_version_that_people_see_holds_commit_and_date() {
        let long = IDENTITY.long_version().unwrap();
        assert_eq!(long, "1.2.3 (commit 0f3c, 2025-10-09T08:53:20Z)");
    }

    #[test]
    fn the_program_reads_what_is_written() {
        let text = IDENTITY.text("b", Architecture::Arm64).unwrap();
        assert_eq!(
            text,
            "{\"architecture\":\"aarch64\",\"commit\":\"0f3c\",\"date\":\"2025-10-09T08:53:20Z\",\
             \"name\":\"b\",\"type\":\"product\",\"version\":\"1.2.3\"}"
        );
        let read = build_info::Identity::parse(text.as_bytes()).unwrap();
        assert_eq!(read.long_version(), IDENTITY.long_version().unwrap());
    }

    #[test]
    fn a_file_is_stamped_and_can_be_run_or_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        fs::write(&path, &own).unwrap();
        let text = IDENTITY.text("b", Architecture::Amd64).unwrap();
        stamp_file(&path, &text).unwrap();
        let stamped = fs::read(&path).unwrap();
        assert_eq!(stamp::read(&stamped), Ok(text.as_bytes()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);

        let long = Identity { version: &"1".repeat(build_info::TEXT_SIZE), ..IDENTITY };
        let long = long.text("b", Architecture::Amd64).unwrap();
        let error = format!("{:#}", stamp_file(&path, &long).unwrap_err());
        assert!(error.contains("program: the identity has") && error.ends_with("fit"), "{error}");
        assert!(fs::read(&path).unwrap() == stamped);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let error = format!("{:#}", stamp_file(&path, &text).unwrap_err());
        assert!(error.contains("cannot be read as an ELF file"), "{error}");
    }
}
