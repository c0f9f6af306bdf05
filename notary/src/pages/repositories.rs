// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! apt and dnf repositories of a static site, signed with `OpenPGP`.
//!
//! `apt-ftparchive` and `createrepo_c` write the metadata, which name the packages of stable releases in
//! `vVERSION/`. The only time in them is that of the newest release or yank, so equal sites have equal
//! metadata.
//! Packages themselves are not signed, because a signature would change their digests; the signed metadata
//! have these.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{env, fmt};

use anyhow::{Context as _, Result, bail, ensure};
use files::TemporaryFolder;
use release::{Channel, Manifest, layout};
use zeroize::Zeroizing;

use super::digest_of;
use super::yanked::Yanked;
use crate::key::read_password;

/// Environment variable with the path of the `OpenPGP` secret key.
pub(super) const KEY: &str = "XTASK_OPENPGP_KEY";
/// Environment variable with the path of a file with the key's password.
const PASSWORD_FILE: &str = "XTASK_OPENPGP_PASSWORD_FILE";
/// The public key in the site.
const PUBLIC: &str = "repository.asc";
/// Suite of the apt repository.
const SUITE: &str = "stable";
/// Programs, with their Debian packages.
const PROGRAMS: [(&str, &str); 5] = [
    ("apt-ftparchive", "apt-utils"),
    ("createrepo_c", "createrepo-c"),
    ("gpg", "gpg"),
    // It reads secret keys for gpg, whose package does not depend on it.
    ("gpg-agent", "gpg-agent"),
    ("gpgconf", "gpgconf"),
];
/// Signed files with their signatures: a signature follows what it signs.
const SIGNED: [(&str, &[&str]); 2] = [
    ("dists/stable/Release", &["dists/stable/Release.gpg", "dists/stable/InRelease"]),
    ("repodata/repomd.xml", &["repodata/repomd.xml.asc"]),
];

/// Result of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepositoryUpdate {
    /// Number of files that changed.
    Files(usize),
    /// Missing programs, and the packages that have them.
    Skipped(Vec<(&'static str, &'static str)>),
}

impl RepositoryUpdate {
    /// Whether the repositories are up to date.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Files(_))
    }
}

impl fmt::Display for RepositoryUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(0) => write!(f, "up to date"),
            Self::Files(count) => write!(f, "{count} files written"),
            Self::Skipped(missing) => {
                let (programs, packages): (Vec<_>, Vec<_>) = missing.iter().copied().unzip();
                write!(
                    f,
                    "skipped, not installed: {}; fix: apt-get install {}",
                    programs.join(", "),
                    packages.join(" ")
                )
            }
        }
    }
}

/// Writes the repositories of the stable releases among `versions` of `site`, the newest first, without
/// those that are yanked.
///
/// # Errors
/// When the key cannot be used, or a program fails.
pub(super) fn publish(
    site: &Path,
    versions: &[Manifest],
    yanked: &Yanked,
    key: &Key,
) -> Result<RepositoryUpdate> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_missing = |name: &str| !env::split_paths(&path).any(|it| it.join(name).is_file());
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(name, _)| is_missing(name)).collect();
    if !missing.is_empty() {
        return Ok(RepositoryUpdate::Skipped(missing));
    }
    let stable: Vec<_> = versions.iter().filter(|it| it.channel == Channel::Stable).collect();
    let stage = TemporaryFolder::new().context("cannot make a temporary folder")?;
    let stage = Stage { site, folder: stage.path(), versions: &stable, yanked };
    let mut names = Vec::new();
    if stage.has(".deb") {
        names.extend(stage.apt()?);
    }
    if stage.has(".rpm") {
        names.extend(stage.dnf()?);
    }
    if names.is_empty() {
        return Ok(RepositoryUpdate::Files(0));
    }
    let signer = Signer::open(key)?;
    names.push(PUBLIC.to_owned());
    fs::write(stage.folder.join(PUBLIC), signer.public()?)?;
    for (name, signatures) in SIGNED {
        if names.iter().any(|it| it == name) && !stage.is_signed(&signer, name, signatures)? {
            for signature in signatures {
                signer.sign(&stage.folder.join(name), &stage.folder.join(signature))?;
                names.push((*signature).to_owned());
            }
        }
    }
    // Signed files are written last, because clients read them first.
    names.sort_by_key(|name| (SIGNED.iter().any(|(it, _)| it == name), name.clone()));
    let mut count = 0;
    for name in names {
        let (from, to) = (stage.folder.join(&name), site.join(&name));
        let context = || format!("cannot write {}", to.display());
        if digest_of(&from).with_context(context)? != digest_of(&to).with_context(context)? {
            fs::create_dir_all(files::parent(&to)).with_context(context)?;
            let bytes = fs::read(&from).with_context(context)?;
            files::write(&to, files::Mode::Exact(0o644), &bytes).with_context(context)?;
            count += 1;
        }
    }
    Ok(RepositoryUpdate::Files(count))
}

/// Whether the site has repositories.
pub(super) fn exist(site: &Path) -> bool {
    SIGNED.iter().any(|(name, _)| site.join(name).exists())
}

/// New metadata, in a temporary folder.
struct Stage<'a> {
    site: &'a Path,
    folder: &'a Path,
    /// The stable releases, the newest first.
    versions: &'a [&'a Manifest],
    yanked: &'a Yanked,
}

impl Stage<'_> {
    /// Paths of the packages with this ending, relative to the site.
    fn packages(&self, ending: &str) -> impl Iterator<Item = (String, &Manifest)> {
        self.versions.iter().flat_map(move |manifest| {
            let paths = manifest.artifacts.iter().map(|it| &it.path);
            let paths = paths.filter(move |it| it.ends_with(ending) && !it.contains('/'));
            let folder = layout::tag(&manifest.version);
            paths.map(move |path| (format!("{folder}/{path}"), *manifest))
        })
    }

    fn has(&self, ending: &str) -> bool {
        self.packages(ending).next().is_some()
    }

    /// Whether clients are offered the packages of the release.
    fn is_offered(&self, manifest: &Manifest) -> bool {
        self.yanked.get(&manifest.version).is_none()
    }

    /// The time of the newest release or yank. apt ignores metadata older than those it has.
    fn epoch(&self) -> u64 {
        let releases = self.versions.iter().map(|it| it.epoch);
        releases.chain(self.yanked.times()).max().unwrap_or_default()
    }

    /// Writes the apt repository, and returns its files.
    fn apt(&self) -> Result<Vec<String>> {
        let architectures: BTreeSet<_> = self
            .packages(".deb")
            .filter_map(|(path, _)| Some(path.strip_suffix(".deb")?.rsplit_once('_')?.1.to_owned()))
            .collect();
        let suite = format!("dists/{SUITE}");
        let mut names = Vec::new();
        for architecture in &architectures {
            let mut text = String::new();
            for manifest in self.versions.iter().filter(|it| self.is_offered(it)) {
                let mut command = ftparchive(self.site);
                command.args(["--arch", architecture, "packages", &layout::tag(&manifest.version)]);
                let printed = String::from_utf8(run(&mut command)?)?;
                // The order is that of the file system.
                let mut entries: Vec<_> = printed.split_inclusive("\n\n").collect();
                entries.sort_unstable();
                text.extend(entries);
            }
            let name = format!("{suite}/main/binary-{architecture}/Packages");
            self.put(&name, text.as_bytes())?;
            names.push(name);
        }
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch());
        let product = self.versions.first().map_or("", |it| &it.product);
        let architectures: Vec<_> = architectures.iter().map(String::as_str).collect();
        let mut command = ftparchive(&self.folder.join(&suite));
        for (field, value) in [
            ("Origin", product),
            ("Suite", SUITE),
            ("Codename", SUITE),
            ("Components", "main"),
            ("Architectures", &architectures.join(" ")),
            ("Date", &httpdate::fmt_http_date(date)),
        ] {
            command.args(["-o", &format!("APT::FTPArchive::Release::{field}={value}")]);
        }
        let release = format!("{suite}/Release");
        self.put(&release, &run(command.args(["release", "."]))?)?;
        names.push(release);
        Ok(names)
    }

    /// Writes the dnf repository, and returns its files.
    fn dnf(&self) -> Result<Vec<String>> {
        let mut list = String::new();
        for (path, manifest) in self.packages(".rpm").filter(|(_, it)| self.is_offered(it)) {
            let file = self.site.join(&path);
            // The metadata have the modification time of a package.
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(manifest.epoch);
            File::options()
                .write(true)
                .open(&file)
                .and_then(|it| it.set_modified(time))
                .with_context(|| format!("cannot set the time of {}", file.display()))?;
            list.push_str(&path);
            list.push('\n');
        }
        self.put("list", list.as_bytes())?;
        let mut command = Command::new("createrepo_c");
        command.args(["--quiet", "--no-database", "--simple-md-filenames"]);
        // The default changed from gzip to zstd in version 1.0.
        command.args(["--general-compress-type", "gz"]);
        command.args(["--set-timestamp-to-revision", "--revision", &self.epoch().to_string()]);
        command.arg("--pkglist").arg(self.folder.join("list"));
        command.arg("--outputdir").arg(self.folder).arg(self.site);
        run(&mut command)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join("repodata"))? {
            names.push(format!("repodata/{}", entry?.file_name().to_string_lossy()));
        }
        Ok(names)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        fs::create_dir_all(files::parent(&path))
            .and_then(|()| fs::write(&path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether the site has the file with this content, and good signatures by the same key.
    fn is_signed(&self, signer: &Signer, name: &str, signatures: &[&str]) -> Result<bool> {
        if digest_of(&self.folder.join(name))? != digest_of(&self.site.join(name))? {
            return Ok(false);
        }
        let verified = |it: &&str| signer.has_signed(&self.site.join(name), &self.site.join(it));
        Ok(signatures.iter().all(verified))
    }
}

/// `apt-ftparchive` in `folder`, without digests that are broken.
fn ftparchive(folder: &Path) -> Command {
    let mut command = Command::new("apt-ftparchive");
    for digest in ["MD5", "SHA1"] {
        command.args(["-o", &format!("APT::FTPArchive::{digest}=false")]);
    }
    command.current_dir(folder);
    command
}

/// Where the secret key is.
pub(super) struct Key {
    file: PathBuf,
    /// File with the password, if the key has one.
    password: Option<PathBuf>,
}

impl Key {
    /// The key that the environment names.
    pub(super) fn from_environment() -> Option<Self> {
        let path = |name| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        Some(Self { file: path(KEY)?, password: path(PASSWORD_FILE) })
    }
}

/// `GnuPG` with one secret key in a temporary home.
struct Signer {
    home: TemporaryFolder,
    /// Empty for a key without one.
    password: Zeroizing<String>,
}

impl Signer {
    fn open(key: &Key) -> Result<Self> {
        let home = TemporaryFolder::new().context("cannot make a temporary folder")?;
        let password = key.password.as_deref().map(read_password).transpose()?;
        let signer = Self { home, password: password.unwrap_or_default() };
        let context = || {
            format!(
                "cannot use the OpenPGP key {}, which {KEY} names; it has to be a file with one secret \
                 key (gpg --export-secret-keys)",
                key.file.display()
            )
        };
        ensure!(key.file.is_file(), context());
        run(signer.gpg().arg("--import").arg(&key.file)).with_context(context)?;
        let secret = run(signer.gpg().args(["--with-colons", "--list-secret-keys"]))?;
        let count = secret.split(|it| *it == b'\n').filter(|it| it.starts_with(b"sec:")).count();
        ensure!(count == 1, "{}: it has {count} secret keys, expected 1", context());
        Ok(signer)
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path()).args(["--batch", "--quiet", "--no-tty"]);
        command
    }

    fn public(&self) -> Result<Vec<u8>> {
        run(self.gpg().args(["--armor", "--export"]))
    }

    /// Writes `signature` of `file`: a copy with a signature for `InRelease`, else a detached one.
    fn sign(&self, file: &Path, signature: &Path) -> Result<()> {
        let mut command = self.gpg();
        command.args(["--pinentry-mode", "loopback", "--passphrase-fd", "0"]);
        command.args(["--armor", "--digest-algo", "SHA512", "--output"]).arg(signature);
        command.arg(if signature.ends_with("InRelease") {
            "--clear-sign"
        } else {
            "--detach-sign"
        });
        run_with(command.arg(file), self.password.as_bytes()).map(drop).with_context(|| {
            format!(
                "cannot sign with the key that {KEY} names; {PASSWORD_FILE} has to name a file with its \
                 password, if it has one"
            )
        })
    }

    fn has_signed(&self, file: &Path, signature: &Path) -> bool {
        let mut command = self.gpg();
        command.arg("--verify").arg(signature);
        if !signature.ends_with("InRelease") {
            command.arg(file);
        }
        run(&mut command).is_ok()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // It may have started no agent.
        run(Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]))
            .ok();
    }
}

/// Runs a command and returns its standard output.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    run_with(command, &[])
}

/// Runs a command with this standard input, and without the variables of the key.
fn run_with(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let program = PathBuf::from(command.get_program());
    let context = || format!("cannot run {}", program.display());
    command.env_remove(KEY).env_remove(PASSWORD_FILE).stdin(Stdio::piped());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(context)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that reads no input may have ended.
        stdin.write_all(input).ok();
    }
    let output = child.wait_with_output().with_context(context)?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", program.display(), output.status, errors.trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests;
