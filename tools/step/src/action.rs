// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The things that a step can do, as data. What each needs and leaves behind is stated here; the
//! executor does it.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::contents::Contents;
use crate::download::Download;
use crate::grub;
use crate::image::Source;
use crate::program::Program;

/// One thing to do.
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
    /// Write a file as a whole: temporary file beside it, fsync, rename. Its folder is made if need be.
    WriteFile {
        /// Where to.
        path: PathBuf,
        /// Permission bits, such as 0o644; printed as octal text.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// What.
        contents: Contents,
    },
    /// Write a file of the system that is mounted at `root`; its folder is made if need be.
    Install {
        /// Where that system is mounted. Symbolic links are followed as that system would.
        root: PathBuf,
        /// Path in that system.
        path: PathBuf,
        /// Permission bits, printed as octal text.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// What.
        contents: Contents,
    },
    /// Copy a file out of the system that is mounted at `root`.
    CopyOut {
        /// Where that system is mounted. Symbolic links are followed as that system would.
        root: PathBuf,
        /// Path in that system.
        from: PathBuf,
        /// Where to; its folder must be there.
        to: PathBuf,
    },
    /// Do the first alternative whose files are all in the system that is mounted at `root`; do
    /// nothing where there is none.
    Choose {
        /// Where that system is mounted.
        root: PathBuf,
        /// In order of preference.
        alternatives: Vec<Alternative>,
    },
    /// Write a `grub.cfg` that boots the kernels of the installed system, newest first.
    GrubConfig {
        /// Where that system is mounted.
        root: PathBuf,
        /// What the configuration refers to.
        #[serde(flatten)]
        boot: grub::Boot,
    },
    /// Have the firmware start the installed system first. A failure is only reported, because
    /// firmware starts what has the removable medium's name as well.
    BootEntry {
        /// The disk.
        disk: PathBuf,
        /// Number of its EFI system partition.
        partition: usize,
        /// Name in the firmware's menu; entries that have it are replaced.
        label: &'static str,
        /// Path on that partition with backslashes.
        loader: String,
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
    /// Pull a WIM and apply one of its images to an empty NTFS volume.
    ApplyWim {
        /// Which artifact; its only layer is the WIM.
        source: Source,
        /// Number of the image in the WIM, from 1.
        index: u32,
        /// The volume, not mounted.
        device: PathBuf,
        /// Folder for a WIM that can't be piped.
        work: PathBuf,
    },
    /// Fetch a file and check its digest.
    Download {
        /// Which file.
        #[serde(flatten)]
        download: Download,
        /// Where to.
        path: PathBuf,
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
    /// Refuse a disk that must not be overwritten: a partition, a disk that is read-only or in use, a
    /// boot medium.
    CheckDisk {
        /// The disk.
        disk: PathBuf,
    },
    /// Wait until the kernel shows each partition with its new size.
    WaitForPartitions {
        /// Device and size in bytes.
        partitions: Vec<(PathBuf, u64)>,
    },
    /// Mount a file system; NTFS through ntfs-3g, whose names are then those of any case. The executor unmounts it when the step ends, however it ends.
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
            Self::Install { root, path, mode, contents } => {
                let path = inside(root, path);
                write!(f, "write    {} (mode {mode:04o}, {contents})", path.display())
            }
            Self::CopyOut { root, from, to } => {
                write!(f, "copy     {} {}", inside(root, from).display(), to.display())
            }
            Self::Choose { root, alternatives } => {
                write!(f, "choose   what {} has the files for:", root.display())?;
                for alternative in alternatives {
                    write!(f, "{alternative}")?;
                }
                Ok(())
            }
            Self::GrubConfig { root, boot } => {
                write!(f, "grub.cfg {} (root UUID={})", root.display(), boot.root_uuid)
            }
            Self::BootEntry { disk, partition, label, loader } => {
                write!(f, "entry    '{label}': {loader} on {} {partition}", disk.display())
            }
            Self::MakeDir { path } => write!(f, "mkdir    {}", path.display()),
            Self::EmptyDir { path } => write!(f, "empty    {}", path.display()),
            Self::Unpack { source, target } => {
                write!(f, "unpack   {} {}", source.reference, target.display())
            }
            Self::ApplyWim { source, index, device, .. } => {
                write!(f, "apply    {} image {index} {}", source.reference, device.display())
            }
            Self::Download { download, path } => {
                let digest = download.sha256.as_deref().unwrap_or("unchecked");
                write!(
                    f,
                    "fetch    {} {} (sha256 {digest})",
                    download.url.redacted(),
                    path.display()
                )
            }
            Self::MakeImage { path, size } => {
                write!(f, "image    {} ({size} bytes)", path.display())
            }
            Self::Publish { from, to } => write!(f, "rename   {} {}", from.display(), to.display()),
            Self::Flush { device } => write!(f, "flush    {}", device.display()),
            Self::CheckDisk { disk } => {
                write!(
                    f,
                    "check    {} (whole, writable, not in use, no boot medium)",
                    disk.display()
                )
            }
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

/// `path` of the system at `root`, for showing.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Actions for systems that have certain files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alternative {
    /// Absolute paths in that system, all of which must be there.
    pub(crate) needs: Vec<PathBuf>,
    /// What to do then.
    pub(crate) actions: Vec<Action>,
}

impl Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs: Vec<String> = self.needs.iter().map(|path| path.display().to_string()).collect();
        let when = if needs.is_empty() { "else".to_owned() } else { needs.join(", ") };
        write!(f, "\n       - {when}")?;
        for action in &self.actions {
            write!(f, "\n           {action}")?;
        }
        Ok(())
    }
}
