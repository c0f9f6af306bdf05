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

use crate::image::Source;

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

/// One thing to do. What each variant needs and leaves behind is stated here; the executor does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Run a program to its end; any exit status but 0 is a failure.
    Run {
        /// What to run.
        #[serde(flatten)]
        program: Program,
    },
    /// Run a program whose failure is reported and then passed over.
    Try {
        /// What to run.
        #[serde(flatten)]
        program: Program,
        /// Why the step can do without it.
        because: &'static str,
    },
    /// Write a file as a whole: temporary file beside it, fsync, rename. Its folder must be there.
    WriteFile {
        /// Where to.
        path: PathBuf,
        /// Permission bits, such as 0o644; printed as octal text.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// What.
        contents: Contents,
    },
    /// Make a folder and its parents (mode 0755) unless they are there.
    MakeDir {
        /// The folder.
        path: PathBuf,
    },
    /// Delete all that is in a folder, but for an empty `lost+found`.
    EmptyDir {
        /// The folder.
        path: PathBuf,
    },
    /// Pull an image and unpack its layers, verified while they stream.
    Unpack {
        /// Which image.
        source: Source,
        /// An empty folder.
        target: PathBuf,
    },
    /// Make a file of zeros with this length, in place of one that is there.
    MakeImage {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
    /// Bring a finished file to disk and give it its final name in the same folder.
    Publish {
        /// The finished file.
        from: PathBuf,
        /// Its final name.
        to: PathBuf,
    },
    /// Bring what was written to a block device onto the medium.
    Flush {
        /// The device.
        device: PathBuf,
    },
    /// Wait until the kernel shows each partition with its new size.
    WaitForPartitions {
        /// Device and size in bytes.
        partitions: Vec<(PathBuf, u64)>,
    },
    /// Mount a file system. The executor unmounts it when the step ends, however it ends.
    Mount {
        /// Device, or a word such as `proc` for a file system without one.
        source: String,
        /// Folder; made if it is not there.
        target: PathBuf,
        /// File system type as in `/proc/filesystems`.
        fstype: String,
        /// Mount it read-only.
        read_only: bool,
    },
    /// Show a folder of this system at a second place; undone as `Mount` is.
    Bind {
        /// Folder to show.
        source: PathBuf,
        /// Where; made if it is not there.
        target: PathBuf,
    },
    /// Unmount what an earlier action mounted.
    Unmount {
        /// Where it is mounted.
        target: PathBuf,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn octal<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

impl Action {
    /// Run `program`; its failure is the step's failure.
    pub(crate) fn run(program: Program) -> Self {
        Self::Run { program }
    }
}

/// One line for people.
impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { program } => write!(f, "run      {program}"),
            Self::Try { program, because } => write!(f, "try      {program}   # {because}"),
            Self::WriteFile { path, mode, contents } => {
                write!(f, "write    {} (mode {mode:04o}, {contents})", path.display())
            }
            Self::MakeDir { path } => write!(f, "mkdir    {}", path.display()),
            Self::EmptyDir { path } => write!(f, "empty    {}", path.display()),
            Self::Unpack { source, target } => {
                write!(f, "unpack   {} {}", source.reference, target.display())
            }
            Self::MakeImage { path, size } => {
                write!(f, "image    {} ({size} bytes)", path.display())
            }
            Self::Publish { from, to } => write!(f, "rename   {} {}", from.display(), to.display()),
            Self::Flush { device } => write!(f, "flush    {}", device.display()),
            Self::WaitForPartitions { partitions } => {
                let names: Vec<String> = partitions
                    .iter()
                    .map(|(device, size)| format!("{} ({size} bytes)", device.display()))
                    .collect();
                write!(f, "wait     {}", names.join(" "))
            }
            Self::Mount { source, target, fstype, read_only } => {
                let access = if *read_only { "ro" } else { "rw" };
                write!(f, "mount    {source} {} ({fstype}, {access})", target.display())
            }
            Self::Bind { source, target } => {
                write!(f, "bind     {} {}", source.display(), target.display())
            }
            Self::Unmount { target } => write!(f, "unmount  {}", target.display()),
        }
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
