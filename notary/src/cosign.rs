// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signs with cosign: with keys in a KMS or an HSM, or keyless, as an identity.
//!
//! With a key, no network access is needed: transparency log and time stamps are disabled, and the
//! trusted root is empty (cosign 3, `sign-blob --signing-config`, `--trusted-root`). Keyless,
//! cosign finds the OIDC token, and verifies certificate and log entry against its trusted root,
//! but not the certificate's SCT (3.1.1). Each bundle is therefore verified here too, with the same
//! code as `notary verify`.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use files::TemporaryFolder;
use release::Signer;
use signing::{Bundle, Identity, PublicKey, Sha256, Statement, Trust, TrustedRoot, sha256};

/// A signing configuration without log and time stamp authority.
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
/// An empty trusted root; without one, cosign fetches that of the public Sigstore instance.
const TRUSTED_ROOT: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

/// cosign with a key or as an identity.
pub(crate) struct Cosign {
    method: SigningMethod,
    /// Value of `--signing-config`.
    signing_config: Option<PathBuf>,
    /// Value of `--trusted-root`.
    trusted_root: Option<PathBuf>,
    scratch: TemporaryFolder,
}

/// The signer.
enum SigningMethod {
    Key {
        /// Value of `--key`: a file, `env://VARIABLE`, or the URI of a KMS or HSM key.
        reference: OsString,
        public: PublicKey,
    },
    Identity {
        /// The identity: given, or taken from the first certificate. All others must match it.
        identity: OnceCell<Identity>,
        root: TrustedRoot,
    },
}

impl Cosign {
    /// Reads the public key of `key` with cosign.
    ///
    /// # Errors
    /// When cosign is not installed, it can't open the key, or the key's algorithm is unsupported.
    pub(crate) fn open(key: OsString) -> Result<Self> {
        ensure!(
            !key.to_string_lossy().contains("pin-value="),
            "the key's URI has a PIN, which other users can read in the process list: remove pin-value \
             and set COSIGN_PKCS11_PIN"
        );
        let printed = run(Command::new("cosign").args(["public-key", "--key"]).arg(&key))?;
        let public = PublicKey::from_pem(&String::from_utf8_lossy(&printed))
            .context("cosign printed an unsupported public key")?;
        let scratch = scratch()?;
        let at = |name: &str, text: &str| -> Result<PathBuf> {
            let path = scratch.path().join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        let signing_config = Some(at("signing.json", SIGNING_CONFIG)?);
        let trusted_root = Some(at("root.json", TRUSTED_ROOT)?);
        let method = SigningMethod::Key { reference: key, public };
        Ok(Self { method, signing_config, trusted_root, scratch })
    }

    /// Signs keyless, as `signer` if given. `signing_config` and `trusted_root` default to those of
    /// the public Sigstore instance.
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
            method: SigningMethod::Identity { identity, root },
            signing_config: signing_config.map(Path::to_owned),
            trusted_root: trusted_root.map(Path::to_owned),
            scratch: scratch()?,
        })
    }

    /// The public key; `None` for an identity.
    pub(crate) fn public(&self) -> Option<&PublicKey> {
        match &self.method {
            SigningMethod::Key { public, .. } => Some(public),
            SigningMethod::Identity { .. } => None,
        }
    }

    /// The identity; `None` for a key, or before the first signature.
    pub(crate) fn signer(&self) -> Option<Signer> {
        match &self.method {
            SigningMethod::Key { .. } => None,
            SigningMethod::Identity { identity, .. } => identity
                .get()
                .map(|it| Signer { identity: it.subject.clone(), issuer: it.issuer.clone() }),
        }
    }

    /// Signs the file at `path`.
    pub(crate) fn sign_file(&self, path: &Path, digest: &Sha256) -> Result<Bundle> {
        let bundle = self.sign(&["sign-blob"], path)?;
        bundle
            .verify_file(self.trust(&bundle)?, digest)
            .context("the signature made by cosign does not verify")?;
        Ok(bundle)
    }

    /// Signs `bytes` as a file.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Result<Bundle> {
        self.sign_file(&self.put("payload", bytes)?, &sha256(bytes))
    }

    /// Signs a statement.
    pub(crate) fn sign_statement(&self, statement: &Statement) -> Result<Bundle> {
        let path = self.put("statement.json", &statement.to_json()?)?;
        let bundle = self.sign(&["attest-blob", "--statement"], &path)?;
        let signed = bundle
            .verify_any_statement(self.trust(&bundle)?)
            .context("the signature made by cosign does not verify")?;
        ensure!(signed == *statement, "cosign signed another statement");
        Ok(bundle)
    }

    /// The expected signer of `bundle`.
    fn trust(&self, bundle: &Bundle) -> Result<Trust<'_>> {
        let (identity, root) = match &self.method {
            SigningMethod::Key { public, .. } => return Ok(Trust::Key(public)),
            SigningMethod::Identity { identity, root } => (identity, root),
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
        match &self.method {
            SigningMethod::Key { reference, .. } => command.arg("--key").arg(reference),
            // Runs are unattended: no browser and no device code.
            SigningMethod::Identity { .. } => command.args(["--fulcio-auth-flow", "token"]),
        };
        if let Some(path) = &self.signing_config {
            command.arg("--signing-config").arg(path);
        }
        if let Some(path) = &self.trusted_root {
            command.arg("--trusted-root").arg(path);
        }
        run(&mut command).with_context(|| match &self.method {
            SigningMethod::Key { .. } => "cannot sign with the key",
            SigningMethod::Identity { .. } => {
                "cannot sign as an identity; set SIGSTORE_ID_TOKEN to an OIDC token, or run on a build service \
                 that provides one"
            }
        })?;
        let bytes = fs::read(&written).context("cosign wrote no bundle")?;
        fs::remove_file(&written).context("cannot remove the bundle that cosign wrote")?;
        let bundle = Bundle::parse(&bytes).context("cosign wrote an unexpected bundle")?;
        // The log entry proves the time; unverified time stamps are dropped.
        Ok(bundle.without_time_stamps())
    }
}

fn scratch() -> Result<TemporaryFolder> {
    TemporaryFolder::new().context("cannot make a temporary folder")
}

/// Runs a command and returns its standard output.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    crate::key::pass_password(command)?;
    let output = command
        .output()
        .context("cannot run cosign; `cargo xtask setup` installs it into target/tools/bin")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        // The Debug output of a command shows variables that are set, here the password.
        let arguments: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
        let arguments = arguments.join(" ");
        bail!("`cosign {arguments}` ended with {}: {}", output.status, errors.trim());
    }
    Ok(output.stdout)
}
