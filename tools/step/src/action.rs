// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The actions of a plan, as data; the executor performs them.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::contents::Contents;
use crate::download::Download;
use crate::erase::method::Method;
use crate::grub;
use crate::image::Source;
use crate::program::Program;

/// One action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Run a program; any exit status but 0 is a failure.
    Run {
        /// The program.
        #[serde(flatten)]
        program: Program,
    },
    /// Run a program; report a failure as a warning and continue.
    Try {
        /// The program.
        #[serde(flatten)]
        program: Program,
        /// Reason why the step works without it.
        because: &'static str,
    },
    /// Write a file atomically: temporary file, fsync, rename. Parent folders are created.
    WriteFile {
        /// Path of the file.
        path: PathBuf,
        /// Permission bits, such as 0o644; printed as octal text.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// Content of the file.
        contents: Contents,
    },
    /// Write a file of the system mounted at `root`, creating its folder.
    Install {
        /// Mount point of that system. Symbolic links resolve inside it.
        root: PathBuf,
        /// Path in that system.
        path: PathBuf,
        /// Permission bits, printed as octal text.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// Content of the file.
        contents: Contents,
    },
    /// Copy a file out of the system mounted at `root`.
    CopyOut {
        /// Mount point of that system. Symbolic links resolve inside it.
        root: PathBuf,
        /// Path in that system.
        from: PathBuf,
        /// Destination path; its folder must exist.
        to: PathBuf,
    },
    /// Run the first alternative whose files all exist in the system mounted at `root`, or none.
    Choose {
        /// Mount point of that system.
        root: PathBuf,
        /// In order of preference.
        alternatives: Vec<Alternative>,
    },
    /// Write a `grub.cfg` with the kernels of the installed system, newest first.
    GrubConfig {
        /// Mount point of that system.
        root: PathBuf,
        /// File systems in the configuration.
        #[serde(flatten)]
        boot: grub::Boot,
    },
    /// Use the `grub.cfg` that the distribution wrote, if it boots the installed system.
    AcceptGrubConfig {
        /// Mount point of that system.
        root: PathBuf,
        /// Its folder of GRUB.
        folder: PathBuf,
        /// File systems in the configuration.
        #[serde(flatten)]
        boot: grub::Boot,
    },
    /// Make the installed system the first boot entry of the firmware. A failure is only a warning,
    /// because firmware also boots from the path of removable media.
    BootEntry {
        /// The disk.
        disk: PathBuf,
        /// Number of its EFI system partition.
        partition: usize,
        /// Name in the firmware's boot menu; existing entries with this name are replaced.
        label: &'static str,
        /// Path of the loader on that partition, with backslashes.
        loader: String,
    },
    /// Create a folder and its parents (mode 0755) if missing.
    MakeDir {
        /// The folder.
        path: PathBuf,
    },
    /// Delete the content of a folder, except an empty `lost+found`.
    EmptyDir {
        /// The folder.
        path: PathBuf,
    },
    /// Pull an image and unpack its layers, verified while they stream.
    Unpack {
        /// The image.
        source: Source,
        /// An empty folder.
        target: PathBuf,
    },
    /// Pull a WIM and apply one of its images to an empty NTFS volume.
    ApplyWim {
        /// The artifact; its only layer is the WIM.
        source: Source,
        /// Number of the image in the WIM, from 1.
        index: u32,
        /// The volume, unmounted.
        device: PathBuf,
        /// Folder for storing a WIM that is not pipable.
        work: PathBuf,
    },
    /// Download a file and verify its digest.
    Download {
        /// URL and digest.
        #[serde(flatten)]
        download: Download,
        /// Destination path.
        path: PathBuf,
    },
    /// Create a file of zeros with this length, replacing an existing one.
    MakeImage {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
    /// Sync a finished file to disk and rename it in the same folder.
    Publish {
        /// The finished file.
        from: PathBuf,
        /// Its final name.
        to: PathBuf,
    },
    /// Sync a block device.
    Flush {
        /// The device.
        device: PathBuf,
    },
    /// Fail if the disk must not be overwritten: a partition, a read-only or busy disk, a boot
    /// medium.
    CheckDisk {
        /// The disk.
        disk: PathBuf,
    },
    /// Fail if a disk to erase is not the one that the recipe names.
    CheckIdentity {
        /// Its link of udev.
        id: PathBuf,
        /// The device that the link led to.
        disk: PathBuf,
        /// Its serial number.
        serial: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Write known contents to samples of a disk, by which its erase is verified.
    MarkSamples {
        /// The disk.
        disk: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Wait for the end of an NVM Express sanitize operation.
    AwaitSanitize {
        /// The disk.
        disk: PathBuf,
    },
    /// Overwrite a disk with zeros.
    Overwrite {
        /// The disk.
        disk: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Only if its samples are not zero already.
        unless_zero: bool,
    },
    /// Fail if samples of an erased disk have their contents; else add a line to the report.
    VerifyErased {
        /// The disk.
        disk: PathBuf,
        /// Its serial number.
        serial: String,
        /// Its size in bytes.
        size: u64,
        /// How it was erased.
        method: Method,
        /// The report.
        report: PathBuf,
    },
    /// Fail if an image cannot be pulled, or is larger than the disk: before anything is written.
    CheckImage {
        /// The image.
        source: Source,
        /// Size of the disk in bytes.
        limit: u64,
    },
    /// Wait until the kernel reports each partition with its new size.
    WaitForPartitions {
        /// Device and size in bytes.
        partitions: Vec<(PathBuf, u64)>,
    },
    /// Mount a file system. NTFS uses ntfs-3g with case-insensitive names. The executor unmounts it
    /// when the step ends, even on failure.
    Mount {
        /// Device, or a name such as `proc` for a virtual file system.
        source: String,
        /// Mount point; created if missing.
        target: PathBuf,
        /// File system type as in `/proc/filesystems`.
        fstype: String,
        /// Mount read-only.
        read_only: bool,
    },
    /// Bind-mount a folder; unmounted as `Mount` is.
    Bind {
        /// Source folder.
        source: PathBuf,
        /// Mount point; created if missing.
        target: PathBuf,
    },
    /// Unmount the target of an earlier action.
    Unmount {
        /// Mount point.
        target: PathBuf,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn octal<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

impl Action {
    /// An action that runs `program`.
    pub(crate) fn run(program: Program) -> Self {
        Self::Run { program }
    }
}

/// A line for `--dry-run` and the log.
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
                write!(f, "choose   the first whose files are in {}:", root.display())?;
                for alternative in alternatives {
                    write!(f, "{alternative}")?;
                }
                Ok(())
            }
            Self::GrubConfig { root, boot } => {
                write!(f, "grub.cfg {} (root UUID={})", root.display(), boot.root_uuid)
            }
            Self::AcceptGrubConfig { root, folder, boot } => {
                let folder = inside(root, folder);
                write!(f, "accept   {} if it has root=UUID={}", folder.display(), boot.root_uuid)
            }
            Self::BootEntry { disk, partition, label, loader } => {
                write!(f, "entry    '{label}': {loader} on {} {partition}", disk.display())
            }
            Self::MakeDir { path } => write!(f, "mkdir    {}", path.display()),
            Self::EmptyDir { path } => write!(f, "empty    {}", path.display()),
            Self::CheckImage { source, limit } => {
                write!(f, "check    {} (in its registry, below {limit} bytes)", source.reference)
            }
            Self::Unpack { source, target } => {
                write!(f, "unpack   {} {}", source.reference, target.display())
            }
            Self::ApplyWim { source, index, device, .. } => {
                write!(f, "apply    {} image {index} {}", source.reference, device.display())
            }
            Self::Download { download, path } => {
                let digest = download.sha256.as_deref().unwrap_or("unchecked");
                write!(f, "fetch    {} {} (sha256 {digest})", download.url.redact(), path.display())
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
            Self::CheckIdentity { id, disk, serial, size } => {
                let (id, disk) = (id.display(), disk.display());
                write!(f, "check    {id} is {disk} (serial number {serial}, {size} bytes)")
            }
            Self::MarkSamples { disk, .. } => write!(f, "mark     {}", disk.display()),
            Self::AwaitSanitize { disk } => write!(f, "wait     {} (sanitize)", disk.display()),
            Self::Overwrite { disk, size, unless_zero } => {
                let unless = if *unless_zero { ", unless its samples are zero" } else { "" };
                write!(f, "zero     {} ({size} bytes{unless})", disk.display())
            }
            Self::VerifyErased { disk, report, .. } => {
                write!(f, "verify   {} (report: {})", disk.display(), report.display())
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

/// `path` of the system at `root`, for display.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Actions for systems with certain files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alternative {
    /// Absolute paths in that system, which must all exist.
    pub(crate) needs: Vec<PathBuf>,
    /// Actions to run.
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
