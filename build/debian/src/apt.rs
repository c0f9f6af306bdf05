// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs apt independently of the host's package state: own lists, own package database, another
//! suite.
//!
//! Mirror, proxy and keys come from the host's configuration; the source contains no address.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use foundation::command::Command;
use foundation::{atomic, checksum, file};
use release::Architecture;

use super::date;
use super::lock::{BASE, Locked};
use super::root::os_release;

/// Keys of all Debian suites, if the package of this name is installed.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt for one suite and architecture, with its own folder.
#[derive(Debug, Clone)]
pub struct Apt {
    folder: PathBuf,
    architecture: Architecture,
}

/// A package file that apt would download.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    name: String,
    version: String,
    architecture: String,
    sha256: String,
}

impl Candidate {
    /// Whether it is one of `names`, or the versioned kernel package that one of them depends on.
    pub fn is_of(&self, names: &BTreeSet<String>) -> bool {
        names.contains(&self.name) || self.name.starts_with("linux-image-")
    }

    /// Name of the package.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The command that prints the host's apt sources.
pub fn sources_command() -> Command {
    Command::new("apt-get", "/")
        .args(["indextargets", "--no-release-info", "Identifier: Packages"])
        .args(["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"])
}

/// The host's suite, such as `bookworm`.
///
/// # Errors
/// When `/etc/os-release` does not state it.
pub fn host_suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let suite = os_release(&text, "VERSION_CODENAME");
    Ok(suite.context("/etc/os-release has no VERSION_CODENAME")?.to_owned())
}

/// `sources.list` for `suite`, from the output of [`sources_command`] on a host of the suite
/// `host`: the same mirrors, with the suite replaced.
pub fn sources_list(printed: &str, host: &str, suite: &str) -> Result<String> {
    let signed =
        if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let lines: BTreeSet<String> = printed
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (uri, release, component) = (words.next()?, words.next()?, words.next()?);
            let pocket = release.strip_prefix(host)?;
            // bookworm, bookworm-updates, bookworm-security; images do not use backports.
            let wanted = matches!(pocket, "" | "-updates" | "-security") && component == "main";
            wanted.then(|| format!("deb {signed}{uri} {suite}{pocket} main\n"))
        })
        .collect();
    ensure!(
        !lines.is_empty(),
        "apt on this host has no mirror with {host} main: images are built from Debian packages, \
         which needs a Debian host with its mirror in /etc/apt"
    );
    Ok(lines.into_iter().collect())
}

/// Like [`sources_list`], for the suite only: its index has no updates between point releases and
/// never expires.
pub fn suite_sources(printed: &str, host: &str, suite: &str) -> Result<String> {
    let pocket = format!(" {suite} ");
    Ok(sources_list(printed, host, suite)?
        .split_inclusive('\n')
        .filter(|it| it.contains(&pocket))
        .collect())
}

/// Root of the archive with the host's suites, from the output of [`sources_command`].
pub fn archive(printed: &str, host: &str) -> Result<String> {
    let archive = printed.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (uri, release, component) = (words.next()?, words.next()?, words.next()?);
        (release == host && component == "main").then(|| uri.trim_end_matches('/').to_owned())
    });
    archive.with_context(|| {
        format!("apt on this host has no mirror with {host} main: add one in /etc/apt")
    })
}

/// Like [`sources_list`], for security updates only.
///
/// # Errors
/// When the host's apt has no source of security updates.
pub fn security_sources(printed: &str, host: &str, suite: &str) -> Result<String> {
    let pocket = format!(" {suite}-security ");
    let all = sources_list(printed, host, suite)?;
    let lines: String = all.split_inclusive('\n').filter(|it| it.contains(&pocket)).collect();
    ensure!(!lines.is_empty(), "apt on this host has no mirror with {host}-security main");
    Ok(lines)
}

impl Apt {
    /// apt in the existing folder `folder`, created by [`Apt::new`].
    pub fn open(folder: PathBuf, architecture: Architecture) -> Self {
        Self { folder, architecture }
    }

    /// Creates the folder `folder` for apt, with the mirrors of `sources`.
    pub fn new(folder: PathBuf, architecture: Architecture, sources: &str) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(name);
            file::create_folder(&path)?;
        }
        atomic::write(&folder.join("sources.list"), sources.as_bytes())?;
        atomic::write(&folder.join("status"), b"")?;
        Ok(Self::open(folder, architecture))
    }

    /// `program` of apt, run in `here`.
    fn command(&self, program: &str, here: &Path) -> Command {
        let folder = self.folder.display();
        let architecture = self.architecture.oci();
        let options = [
            format!("Dir::State={folder}"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            format!("Dir::Etc::SourceList={folder}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures::={architecture}"),
            "APT::Install-Recommends=false".to_owned(),
            // apt's sandbox user cannot write here.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::ForceHash=SHA256".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let command = Command::new(program, here).env("LC_ALL", "C");
        options.iter().fold(command, |command, option| command.arg("-o").arg(option))
    }

    /// Updates all indexes.
    pub fn update(&self) -> Command {
        self.command("apt-get", &self.folder).args(["update", "--error-on=any"])
    }

    /// Prints the control data of all packages.
    pub fn dump(&self) -> Command {
        self.command("apt-cache", &self.folder).arg("dumpavail")
    }

    /// Prints the control data of all versions of the package `name`.
    pub fn show(&self, name: &str) -> Command {
        self.command("apt-cache", &self.folder).args(["show", name])
    }

    /// Prints the downloads of installing `names` on an empty system.
    pub fn resolve(&self, names: &BTreeSet<String>) -> Command {
        self.command("apt-get", &self.folder).args(["install", "--yes", "--print-uris"]).args(names)
    }

    /// Prints the available versions of `packages`.
    pub fn versions(&self, packages: &[&Locked]) -> Command {
        let names: BTreeSet<_> = packages.iter().map(|package| &package.name).collect();
        self.command("apt-cache", &self.folder).arg("madison").args(names)
    }

    /// Downloads the files of `packages` to `here`.
    pub fn download(&self, packages: &[&Locked], here: &Path) -> Command {
        let exact = packages.iter().map(|package| format!("{}={}", package.name, package.version));
        self.command("apt-get", here).arg("download").args(exact)
    }

    /// Downloads the newest version of the package `name` to `here`.
    pub fn fetch(&self, name: &str, here: &Path) -> Command {
        self.command("apt-get", here).args(["download", name])
    }

    /// Date of the suite's index in seconds, after [`Apt::update`].
    pub fn index_date(&self, suite: &str) -> Result<u64> {
        let lists = self.folder.join("lists");
        // `Release` for a repository without an inline signature, which the host trusts by
        // configuration.
        let suffixes = ["InRelease", "Release"].map(|name| format!("_dists_{suite}_{name}"));
        for path in file::list(&lists)? {
            if suffixes.iter().any(|it| path.to_string_lossy().ends_with(it)) {
                let text = file::read_text(&path)?;
                let stated = text.lines().find_map(|line| line.strip_prefix("Date: "));
                let stated = stated.with_context(|| format!("{} has no Date", path.display()))?;
                return date::rfc5322(stated)
                    .with_context(|| format!("{}: Date: {stated}", path.display()));
            }
        }
        bail!("apt downloaded no index of {suite}")
    }
}

/// Essential packages in the output of [`Apt::dump`], which is too long to parse into stanzas.
pub fn parse_essential(dump: &str) -> BTreeSet<String> {
    let mut essential = BTreeSet::new();
    let mut package = "";
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("Package: ") {
            package = name;
        } else if line == "Essential: yes" {
            essential.insert(package.to_owned());
        }
    }
    essential
}

/// Parses the output of [`Apt::resolve`]: `'URI' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:HEX`.
pub fn candidates(printed: &str) -> Result<BTreeSet<Candidate>> {
    printed
        .lines()
        .filter(|line| line.starts_with('\''))
        .map(|line| {
            candidate(line).with_context(|| {
                format!("`apt-get --print-uris` printed {line:?}: expected a URI, a file name, a size and a SHA-256")
            })
        })
        .collect()
}

fn candidate(line: &str) -> Option<Candidate> {
    let mut words = line.split(' ').skip(1);
    let (file, _size, digest) = (words.next()?, words.next()?, words.next()?);
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
    let sha256 = digest.strip_prefix("SHA256:").filter(|hex| checksum::is_sha256(hex))?;
    Some(Candidate {
        name: name.to_owned(),
        // The only character of a version that apt escapes in file names.
        version: version.replace("%3a", ":"),
        architecture: architecture.to_owned(),
        sha256: sha256.to_owned(),
    })
}

/// Locks `base` for images of `image`, and for each set its packages beyond the base.
pub fn lock(
    image: Architecture,
    base: &BTreeSet<Candidate>,
    sets: &BTreeMap<String, BTreeSet<Candidate>>,
) -> Vec<Locked> {
    let locked = |set: &str, candidate: &Candidate| Locked {
        image,
        set: set.to_owned(),
        name: candidate.name.clone(),
        version: candidate.version.clone(),
        architecture: candidate.architecture.clone(),
        sha256: candidate.sha256.clone(),
    };
    let of_base = base.iter().map(|candidate| locked(BASE, candidate));
    let of_sets = sets.iter().flat_map(|(set, candidates)| {
        candidates.difference(base).map(move |candidate| locked(set, candidate))
    });
    of_base.chain(of_sets).collect()
}

/// The `packages` whose version is missing in the output of [`Apt::versions`]: `NAME | VERSION |
/// …`.
pub fn find_dropped<'a>(packages: &[&'a Locked], printed: &str) -> Vec<&'a Locked> {
    let there: BTreeSet<(&str, &str)> = printed
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('|').map(str::trim);
            Some((columns.next()?, columns.next()?))
        })
        .collect();
    packages
        .iter()
        .filter(|package| !there.contains(&(package.name.as_str(), package.version.as_str())))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_mirrors_serve_another_suite() {
        let printed = "http://mirror.example/debian/ bookworm main\n\
                       http://mirror.example/debian/ bookworm main\n\
                       http://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/debian/ bookworm-backports main\n\
                       http://sec.example/ bookworm-security main\n\
                       http://else.example/ stable main\n";
        let list = sources_list(printed, "bookworm", "trixie").unwrap();
        let plain: Vec<_> =
            list.lines().map(|line| line.rsplitn(4, ' ').take(3).collect::<Vec<_>>()).collect();
        assert_eq!(
            plain,
            [
                ["main", "trixie", "http://mirror.example/debian/"],
                ["main", "trixie-security", "http://sec.example/"],
            ]
        );
        let alone = suite_sources(printed, "bookworm", "trixie").unwrap();
        assert!(alone.ends_with("http://mirror.example/debian/ trixie main\n"), "{alone}");
        assert_eq!(alone.lines().count(), 1);
        assert_eq!(archive(printed, "bookworm").unwrap(), "http://mirror.example/debian");
        assert!(archive(printed, "sid").unwrap_err().to_string().contains("/etc/apt"));
        let security = security_sources(printed, "bookworm", "trixie").unwrap();
        assert!(security.ends_with("http://sec.example/ trixie-security main\n"), "{security}");
        assert_eq!(security.lines().count(), 1);
        let error = security_sources("http://x.example/ sid main\n", "sid", "sid").unwrap_err();
        assert!(error.to_string().contains("sid-security"), "{error}");
        let error =
            sources_list("http://x.example/ noble main\n", "bookworm", "trixie").unwrap_err();
        assert!(error.to_string().contains("/etc/apt"), "{error}");
    }

    #[test]
    fn what_apt_would_fetch_becomes_a_lock() {
        let sum = "ab".repeat(32);
        let printed = format!(
            "Reading package lists...\n\
             'http://m.example/pool/libc6_2.41-12%2bdeb13u5_amd64.deb' libc6_2.41-12+deb13u5_amd64.deb 2850108 SHA256:{sum}\n\
             'http://m.example/pool/diffutils_3.10-4_amd64.deb' diffutils_1%3a3.10-4_amd64.deb 386504 SHA256:{sum}\n"
        );
        let base = candidates(&printed).unwrap();
        let both =
            format!("{printed}'http://m.example/x.deb' mtools_4.0.48-1_all.deb 1 SHA256:{sum}\n");
        let sets = BTreeMap::from([("tools/x".to_owned(), candidates(&both).unwrap())]);
        let locked = lock(Architecture::Amd64, &base, &sets);
        let brief: Vec<_> = locked
            .iter()
            .map(|p| (p.set.as_str(), p.name.as_str(), p.version.as_str(), p.architecture.as_str()))
            .collect();
        assert_eq!(
            brief,
            [
                ("base", "diffutils", "1:3.10-4", "amd64"),
                ("base", "libc6", "2.41-12+deb13u5", "amd64"),
                ("tools/x", "mtools", "4.0.48-1", "all"),
            ]
        );
    }

    #[test]
    fn a_weaker_checksum_is_refused() {
        let error = candidates("'u' a_1_all.deb 3 MD5Sum:00\n").unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
    }

    #[test]
    fn versions_that_the_mirror_dropped_are_named() {
        let locked = |name: &str, version: &str| Locked {
            image: Architecture::Amd64,
            set: BASE.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "all".to_owned(),
            sha256: String::new(),
        };
        let (kept, old) = (locked("a", "1"), locked("b", "1"));
        let printed =
            "  a | 1 | http://m.example trixie/main\n  b | 2 | http://m.example trixie/main\n";
        assert_eq!(find_dropped(&[&kept, &old], printed), [&old]);
    }

    #[test]
    fn essential_packages_are_read() {
        let dump =
            "Package: bash\nEssential: yes\n\nPackage: vim\n\nPackage: dpkg\nEssential: yes\n";
        assert_eq!(parse_essential(dump), BTreeSet::from(["bash".to_owned(), "dpkg".to_owned()]));
    }
}
