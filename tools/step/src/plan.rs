// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A plan: what a step is going to do, as data, before it does any of it.
//!
//! `--dry-run` prints the plan and the executor carries out that same value, so what was shown is
//! what runs. File contents are part of a plan but are never shown: text, JSON and logs hold their
//! size and SHA-256.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use recipe::{ContentSummary, sha256_hex};
use serde::{Serialize, Serializer};

use crate::action::Action;

/// Bytes that a plan writes somewhere. May be secret, so only size and digest can be printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents(Vec<u8>);

impl Contents {
    /// The bytes themselves; for writing, never for printing.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Size and digest: what may be shown.
    pub(crate) fn summary(&self) -> ContentSummary {
        ContentSummary::of(&self.0)
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for Contents {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({self})")
    }
}

impl Serialize for Contents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.summary().serialize(serializer)
    }
}

/// An outside program with its arguments. No argument ever holds recipe contents or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    /// The program and its arguments; the program is found on `PATH`.
    pub(crate) argv: Vec<String>,
    /// Variables set for it on top of the executor's fixed environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<(String, String)>,
    /// The folder to make its root first, as `chroot` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chroot: Option<PathBuf>,
}

impl Program {
    /// `program` with `args`, in the executor's environment.
    pub(crate) fn new(program: &str, args: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut argv = vec![program.to_owned()];
        argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        Self { argv, env: Vec::new(), chroot: None }
    }

    /// The same program with one more variable in its environment.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same program with `root` as its root folder.
    pub(crate) fn in_root(mut self, root: &Path) -> Self {
        self.chroot = Some(root.to_owned());
        self
    }

    /// What the kernel is asked to run: `argv`, behind `chroot ROOT` where there is a root.
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
            write!(f, "{name}={} ", quoted(value))?;
        }
        for (i, word) in self.full_argv().iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { " " }, quoted(word))?;
        }
        Ok(())
    }
}

/// `word` as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The actions of one step, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// The subcommand, such as `config-drive`.
    pub(crate) step: &'static str,
    /// What is to be done, first to last. Empty where the recipe asks nothing of this step.
    pub(crate) actions: Vec<Action>,
}

impl Plan {
    /// Digest of what is asked: lower-case hex SHA-256 of the plan as JSON.
    ///
    /// Contents take part through their digest, so two plans with one digest do the same.
    pub(crate) fn digest(&self) -> anyhow::Result<String> {
        Ok(sha256_hex(&serde_json::to_vec(self)?))
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions.is_empty() {
            return writeln!(f, "{}: nothing to do", self.step);
        }
        writeln!(f, "{}: {} actions", self.step, self.actions.len())?;
        for (i, action) in self.actions.iter().enumerate() {
            writeln!(f, "{:>3}. {action}", i + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_never_shown() {
        let action = Action::WriteFile {
            path: "/x".into(),
            mode: 0o600,
            contents: String::from("hunter2").into(),
        };
        let json = serde_json::to_string(&action).unwrap();
        let shown = format!("{action} {action:?} {json}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(json.contains(r#""size":7"#) && json.contains(r#""mode":"0600""#), "{json}");
    }

    #[test]
    fn a_program_prints_as_a_line_to_paste() {
        let program = Program::new("mkfs.ext4", ["-L", "it's", "", "/dev/sda1"])
            .with_env("TZ", "UTC")
            .in_root(Path::new("/mnt"));
        assert_eq!(program.to_string(), r"TZ=UTC chroot /mnt mkfs.ext4 -L 'it'\''s' '' /dev/sda1");
    }

    #[test]
    fn other_contents_are_another_plan() {
        let plan = |text: &str| Plan {
            step: "config-drive",
            actions: vec![Action::WriteFile {
                path: "/x".into(),
                mode: 0o600,
                contents: text.to_owned().into(),
            }],
        };
        assert_eq!(plan("a").digest().unwrap(), plan("a").digest().unwrap());
        assert_ne!(plan("a").digest().unwrap(), plan("b").digest().unwrap());
    }
}
