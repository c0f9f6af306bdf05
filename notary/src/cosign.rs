// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The program cosign as an engine: for keys that we can't open, in a KMS or an HSM, and for who signs as an
//! identity.
//!
//! With a key, nothing needs a network: no transparency log and no time stamps are asked for, and the trusted
//! root is empty (cosign 3, `sign-blob --signing-config`, `--trusted-root`). As an identity, cosign finds the
//! token itself, and checks the certificate and the log's entry against its trusted root, but not that the
//! certificate is listed (3.1.1). Each bundle is checked here before it is taken, by what checks a release too:
//! nothing is signed that would be refused by whoever verifies.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use release::Signer;
use signing::{Bundle, Identity, PublicKey, Sha256, Statement, Trust, TrustedRoot, sha256};
use tempfile::TempDir;

/// Neither a log nor a time stamp authority.
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
/// Nobody; else cosign asks the public key server of Sigstore for its root.
const TRUSTED_ROOT: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

/// cosign with one key, or as one identity.
pub(crate) struct Cosign {
    by: By,
    /// What its `--signing-config` takes, if it is given one.
    signing_config: Option<PathBuf>,
    /// What its `--trusted-root` takes, if it is given one.
    trusted_root: Option<PathBuf>,
    scratch: TempDir,
}

/// Who signs.
enum By {
    Key {
        /// What cosign's `--key` takes: a file, `env://VARIABLE`, or the URI of a KMS or an HSM.
        reference: OsString,
        public: PublicKey,
    },
    Identity {
        /// Who it is: told before, else by the first certificate. All others have to name the same.
        identity: OnceCell<Identity>,
        root: TrustedRoot,
    },
}

impl Cosign {
    /// Asks cosign for the public half of `key`.
    ///
    /// # Errors
    /// When there is no cosign, it can't open the key, or the key is of another kind than ours.
    pub(crate) fn open(key: OsString) -> Result<Self> {
        ensure!(
            !key.to_string_lossy().contains("pin-value="),
            "the key's URI holds a PIN, and arguments of programs are no secret: leave pin-value out \
             and set COSIGN_PKCS11_PIN"
        );
        let printed = run(Command::new("cosign").args(["public-key", "--key"]).arg(&key))?;
        let public = PublicKey::from_pem(&String::from_utf8_lossy(&printed))
            .context("cosign opened the key")?;
        let scratch = scratch()?;
        let at = |name: &str, text: &str| -> Result<PathBuf> {
            let path = scratch.path().join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        let signing_config = Some(at("signing.json", SIGNING_CONFIG)?);
        let trusted_root = Some(at("root.json", TRUSTED_ROOT)?);
        let by = By::Key { reference: key, public };
        Ok(Self { by, signing_config, trusted_root, scratch })
    }

    /// Signs as `signer`, or as whoever cosign turns out to be, with the services of `signing_config`, and
    /// checked against `trusted_root`; those of Sigstore's public service where there is none.
    ///
    /// # Errors
    /// When the trusted root can't be read.
    pub(crate) fn keyless(
        signer: Option<&Signer>,
        signing_config: Option<&Path>,
        trusted_root: Option<&Path>,
    ) -> Result<Self> {
        let root = match trusted_root {
            Some(path) => {
                let bytes = fs::read(path)
                    .with_context(|| format!("cannot read the trusted root {}", path.display()))?;
                TrustedRoot::parse(&bytes).with_context(|| path.display().to_string())?
            }
            None => TrustedRoot::public_good()?,
        };
        let identity = OnceCell::new();
        if let Some(Signer { identity: subject, issuer }) = signer.cloned() {
            identity.get_or_init(|| Identity { subject, issuer, root: root.clone() });
        }
        Ok(Self {
            by: By::Identity { identity, root },
            signing_config: signing_config.map(Path::to_owned),
            trusted_root: trusted_root.map(Path::to_owned),
            scratch: scratch()?,
        })
    }

    /// The half of the key that verifies; none where an identity signs.
    pub(crate) fn public(&self) -> Option<&PublicKey> {
        match &self.by {
            By::Key { public, .. } => Some(public),
            By::Identity { .. } => None,
        }
    }

    /// Who signs; none where a key does, or where nothing was signed yet.
    pub(crate) fn signer(&self) -> Option<Signer> {
        match &self.by {
            By::Key { .. } => None,
            By::Identity { identity, .. } => identity
                .get()
                .map(|it| Signer { identity: it.subject.clone(), issuer: it.issuer.clone() }),
        }
    }

    /// Signs the file at `path`.
    pub(crate) fn sign_file(&self, path: &Path, digest: &Sha256) -> Result<Bundle> {
        let bundle = self.sign(&["sign-blob"], path)?;
        bundle
            .verify_file(self.trust(&bundle)?, digest)
            .context("what cosign signed does not verify")?;
        Ok(bundle)
    }

    /// Signs `bytes` as a file.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Result<Bundle> {
        self.sign_file(&self.put("payload", bytes)?, &sha256(bytes))
    }

    /// Signs a statement as it is.
    pub(crate) fn sign_statement(&self, statement: &Statement) -> Result<Bundle> {
        let path = self.put("statement.json", &statement.to_json()?)?;
        let bundle = self.sign(&["attest-blob", "--statement"], &path)?;
        let signed = bundle
            .verify_any_statement(self.trust(&bundle)?)
            .context("what cosign signed does not verify")?;
        ensure!(signed == *statement, "cosign signed another statement");
        Ok(bundle)
    }

    /// Who must have signed `bundle`.
    fn trust(&self, bundle: &Bundle) -> Result<Trust<'_>> {
        let (identity, root) = match &self.by {
            By::Key { public, .. } => return Ok(Trust::Key(public)),
            By::Identity { identity, root } => (identity, root),
        };
        let (subject, issuer) = bundle.claimed_identity().context("cosign signed with a key")?;
        let claimed = || Identity { subject, issuer, root: root.clone() };
        Ok(Trust::Identity(identity.get_or_init(claimed)))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn sign(&self, verb: &[&str], content: &Path) -> Result<Bundle> {
        let written = self.scratch.path().join("bundle.json");
        let mut command = Command::new("cosign");
        command.args(verb).arg(content).arg("--yes").arg("--bundle").arg(&written);
        match &self.by {
            By::Key { reference, .. } => command.arg("--key").arg(reference),
            // Nobody is there to look at a browser, or to type in a code.
            By::Identity { .. } => command.args(["--fulcio-auth-flow", "token"]),
        };
        if let Some(path) = &self.signing_config {
            command.arg("--signing-config").arg(path);
        }
        if let Some(path) = &self.trusted_root {
            command.arg("--trusted-root").arg(path);
        }
        run(&mut command).with_context(|| match &self.by {
            By::Key { .. } => "cannot sign with the key",
            By::Identity { .. } => {
                "cannot sign as an identity; the token that proves it is in SIGSTORE_ID_TOKEN, or comes from \
                 the build service that this runs on"
            }
        })?;
        let bytes = fs::read(&written).context("cosign wrote no bundle")?;
        fs::remove_file(&written).context("cannot remove what cosign wrote")?;
        let bundle =
            Bundle::parse(&bytes).context("cosign wrote another bundle than was asked for")?;
        // A log's promise has the time; what nobody checks vouches for nothing.
        Ok(bundle.without_time_stamps())
    }
}

fn scratch() -> Result<TempDir> {
    tempfile::tempdir().context("cannot make a temporary folder")
}

/// Standard output of a command that succeeds.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    crate::key::pass_password(command)?;
    let output = command
        .output()
        .context("cannot run cosign; `cargo xtask setup` installs it into target/tools/bin")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, errors.trim());
    }
    Ok(output.stdout)
}
