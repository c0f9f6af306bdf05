// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! External programs in a plan.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// An external program with its arguments, which never contain recipe contents or secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    /// Program and arguments; the program is looked up in `PATH`.
    pub(crate) argv: Vec<String>,
    /// Environment variables in addition to the executor's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<(String, String)>,
    /// Root folder to change to, as `chroot` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chroot: Option<PathBuf>,
}

impl Program {
    /// `program` with `args`.
    pub(crate) fn new(program: &str, args: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut argv = vec![program.to_owned()];
        argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        Self { argv, env: Vec::new(), chroot: None }
    }

    /// Adds an environment variable.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it with `root` as the root folder.
    pub(crate) fn in_root(mut self, root: &Path) -> Self {
        self.chroot = Some(root.to_owned());
        self
    }

    /// The arguments to execute: `argv`, with a prefix `chroot ROOT` if needed.
    pub(crate) fn full_argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        if let Some(root) = &self.chroot {
            argv.push("chroot".to_owned());
            argv.push(root.display().to_string());
        }
        argv.extend(self.argv.iter().cloned());
        argv
    }
}

/// A line that can be pasted into a shell.
impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quote(value))?;
        }
        for (i, word) in self.full_argv().iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { " " }, quote(word))?;
        }
        Ok(())
    }
}

/// Quotes `word` for a POSIX shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_as_a_line_to_paste() {
        let program = Program::new("mkfs.ext4", ["-L", "it's", "", "/dev/sda1"])
            .with_env("TZ", "UTC")
            .in_root(Path::new("/mnt"));
        assert_eq!(program.to_string(), r"TZ=UTC chroot /mnt mkfs.ext4 -L 'it'\''s' '' /dev/sda1");
    }
}
