// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The scratch repository with its key, registry and release page.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engine::tool::Daemon;
use engine::workspace::Version;
use engine::{Run, StepLog};
use foundation::command::Command;
use mock_release::Content;
use programs::notary;
use release::{Architecture, Source, layout};
use serde_json::Value;

/// Name of the product, and of everything in it.
const PRODUCT: &str = "rehearsal";
/// Its source, as in provenance.
const SOURCE: &str = "https://rehearsal.example/source";
/// Time for the registry to accept connections.
const PATIENCE: Duration = Duration::from_secs(20);
/// Attempts to find a port that no other process takes.
const ATTEMPTS: usize = 5;
/// Who makes the changes of channels.
const BY: &str = "rehearsal";

/// Folder of the rehearsal.
pub(super) fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("rehearsal")
}

/// A repository, with its registry and release page.
pub(super) struct Site<'a> {
    run: &'a Run,
    log: &'a StepLog,
    /// `127.0.0.1:PORT`.
    address: String,
    _registry: Daemon,
}

impl<'a> Site<'a> {
    /// Makes the repository and the key, and starts the registry.
    pub(super) fn start(run: &'a Run, log: &'a StepLog) -> Result<Self> {
        let folder = folder(run);
        let source = folder.join("source");
        fs::create_dir_all(&source)
            .with_context(|| format!("cannot create {}", source.display()))?;
        run.exec(log, &notary::generate(run, &folder.join("cosign.key")))?;
        let (registry, address) = start_registry(run, log, &folder)?;
        let site = Self { run, log, address, _registry: registry };
        site.write(".gitignore", "/target/\n")?;
        site.write("release.toml", &release_toml(&site.address))?;
        site.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(site)
    }

    /// Commits a version, tags it, and runs the publication of `ci release` with a synthetic release.
    pub(super) fn release(&self, version: &str) -> Result<()> {
        self.publish(version, "feat")
    }

    /// [`Self::release`] of a commit of this `kind`, which the version has to fit.
    fn publish(&self, version: &str, kind: &str) -> Result<()> {
        let tag = layout::tag(version);
        let base = version.split('-').next().unwrap_or_default();
        self.write(
            "Cargo.toml",
            &format!("[workspace]\n[workspace.package]\nversion = \"{base}\"\n"),
        )?;
        self.git(&["add", "--all"])?;
        let message = format!("{kind}: make {version}");
        self.git(&["commit", "--quiet", "--allow-empty", "--message", &message])?;
        self.git(&["tag", "--annotate", "--message", &tag, &tag])?;
        let commit = self.run.capture(self.log, &self.git_command(&["rev-parse", "HEAD"]))?;
        let content = Content {
            product: PRODUCT,
            version,
            channel: Version::parse(version)?.channel(),
            source: Source {
                uri: SOURCE.to_owned(),
                commit: String::from_utf8_lossy(&commit).trim().to_owned(),
                dirty: false,
            },
            epoch: self.run.workspace.epoch(),
            salt: version,
            images: &[("tools/example", &[Architecture::Amd64, Architecture::Arm64])],
            isos: &[],
            packages: None,
        };
        mock_release::write(&self.source().join("target/dist").join(version), &content)?;
        self.xtask(&["ci", "release", "--part", "publish", "--tag", &tag]).map(drop)
    }

    /// Makes a patch of 1.4 on a branch of its own.
    pub(super) fn patch(&self, version: &str) -> Result<()> {
        self.git(&["checkout", "--quiet", "-b", "release/1.4", "v1.4.0"])?;
        self.publish(version, "fix")
    }

    /// Points a channel back.
    pub(super) fn roll_back(&self, channel: &str) -> Result<()> {
        self.xtask(&["rollback", channel, "--registry", "production", "--by", BY]).map(drop)
    }

    /// Applies the retention of the scratch `release.toml`.
    pub(super) fn prune(&self) -> Result<()> {
        self.xtask(&["ci", "retention"]).map(drop)
    }

    /// The plan that retention wrote.
    pub(super) fn retention_plan(&self) -> Result<String> {
        self.read("target/xtask/retention/production.json")
    }

    /// The list of the release page.
    pub(super) fn page(&self) -> Result<String> {
        self.read("target/site/index.html")
    }

    /// Where the channels point: `CHANNEL=VERSION`.
    pub(super) fn points(&self) -> Result<String> {
        let report = self.xtask(&[
            "channels",
            "--registry",
            "production",
            "--key",
            &self.public_key(),
            "--json",
        ])?;
        let report: Value = serde_json::from_str(&report).context("channels printed no JSON")?;
        let channels = report.pointer("/record/channels").and_then(Value::as_object);
        let channels = channels.context("the report has no channels")?;
        let entry = |(name, entry): (&String, &Value)| {
            let version = entry.get("version").and_then(Value::as_str).unwrap_or_default();
            format!("{name}={version}")
        };
        Ok(channels.iter().map(entry).collect::<Vec<_>>().join(" "))
    }

    /// Verifies a version from the registry.
    pub(super) fn verify(&self, version: &str) -> Result<()> {
        self.run_verify(&format!("{}:{version}", self.namespace()), &[])
    }

    /// Verifies the release that a channel points to.
    pub(super) fn follow(&self, channel: &str) -> Result<()> {
        let state = folder(self.run).join("state.json");
        let state = state.to_string_lossy();
        self.run_verify(&self.namespace(), &["--channel", channel, "--state", &state])
    }

    fn run_verify(&self, registry: &str, rest: &[&str]) -> Result<()> {
        let key = self.public_key();
        let start = ["verify", "--registry", registry, "--key", &key, "--product", PRODUCT];
        let report = self.xtask(&[&start[..], rest].concat())?;
        ensure!(report.contains("VERIFIED"), "{registry} is not verified:\n{report}");
        Ok(())
    }

    fn namespace(&self) -> String {
        format!("http://{}/{PRODUCT}", self.address)
    }

    fn public_key(&self) -> String {
        folder(self.run).join("cosign.pub").display().to_string()
    }

    fn source(&self) -> PathBuf {
        folder(self.run).join("source")
    }

    /// Standard output of this program in the scratch repository.
    fn xtask(&self, arguments: &[&str]) -> Result<String> {
        let program =
            std::env::current_exe().context("cannot determine the path of this program")?;
        let command = Command::new(program.to_string_lossy(), self.source())
            .args(arguments)
            .env("CI", "true")
            .env("XTASK_SIGNING_KEY", folder(self.run).join("cosign.key"))
            .env("COSIGN_PASSWORD", "")
            .env(programs::ROOT, self.run.workspace.root());
        let command =
            ["GITHUB_REF_NAME", "GITHUB_REF_TYPE", "GITHUB_STEP_SUMMARY", "XTASK_BUILDER"]
                .into_iter()
                .fold(command, Command::without_env);
        let output = self.run.capture(self.log, &command)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        self.run.exec(self.log, &self.git_command(arguments))
    }

    fn git_command(&self, arguments: &[&str]) -> Command {
        Command::new("git", self.source())
            .args(["-c", "user.name=Rehearsal", "-c", "user.email=rehearsal@example.org"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.source().join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn read(&self, path: &str) -> Result<String> {
        let path = self.source().join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Facts about the scratch product.
fn release_toml(address: &str) -> String {
    format!(
        "[product]\nname = \"{PRODUCT}\"\ntitle = \"A rehearsal\"\nvendor = \"Nobody\"\n\
         license = \"AGPL-3.0-or-later\"\nsource = \"{SOURCE}\"\n\n\
         [[binary]]\nname = \"nothing\"\npackage = \"nothing\"\ndeliver = []\n\n\
         [registry.production]\naddress = \"{address}/{PRODUCT}\"\nplain_http = true\n\n\
         [assets.production]\nfolder = \"target/site\"\n\n\
         [retention]\ntools = 1\nmaintenance = 1\ncandidates = 1\n\n\
         [engines]\nsignatures = \"native\"\n"
    )
}

/// Starts a registry on a free loopback port.
fn start_registry(run: &Run, log: &StepLog, folder: &Path) -> Result<(Daemon, String)> {
    let config = folder.join("registry.yml");
    let serve = Command::new("docker-registry", folder).arg("serve").arg(&config);
    // Another process may take the free port first.
    for _ in 0..ATTEMPTS {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
        let address = listener.local_addr().context("the port has no address")?.to_string();
        drop(listener);
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\nstorage: \
             {{filesystem: {{rootdirectory: '{}'}}, delete: {{enabled: true}}}}\n",
            folder.join("registry").display()
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let daemon = run.tools.background(log, &serve, &folder.join("registry.log"))?;
        let deadline = Instant::now() + PATIENCE;
        while !daemon.has_ended()? && Instant::now() < deadline {
            if TcpStream::connect(&address).is_ok() {
                return Ok((daemon, address));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    bail!("docker-registry does not start; see {}", folder.join("registry.log").display())
}
