// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The program cosign as an engine: for keys that we can't open, in a KMS or an HSM.
//!
//! Nothing of it needs a network: no transparency log and no time stamps are asked for, and its trusted
//! root is empty (cosign 3, `sign-blob --signing-config`, `--trusted-root`). Each bundle is checked before
//! it is taken, since a key of another kind than ECDSA on P-256 would be refused by whoever verifies.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sigstore::{Bundle, PublicKey, Sha256, Statement, sha256};
use tempfile::TempDir;

/// Neither a log nor a time stamp authority.
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
/// Nobody; else cosign asks the public key server of Sigstore for its root.
const TRUSTED_ROOT: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

/// cosign with one key.
pub(crate) struct Cosign {
    /// What its `--key` takes: a file, `env://VARIABLE`, or the URI of a KMS or an HSM.
    key: OsString,
    public: PublicKey,
    scratch: TempDir,
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
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        fs::write(scratch.path().join("signing.json"), SIGNING_CONFIG)?;
        fs::write(scratch.path().join("root.json"), TRUSTED_ROOT)?;
        Ok(Self { key, public, scratch })
    }

    /// The half that verifies.
    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the file at `path`.
    pub(crate) fn sign_file(&self, path: &Path, digest: &Sha256) -> Result<Bundle> {
        let bundle = self.sign(&["sign-blob"], path)?;
        bundle.verify_file(&self.public, digest).context("cosign signed something else")?;
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
        let signed =
            bundle.verify_any_statement(&self.public).context("cosign signed something else")?;
        ensure!(signed == *statement, "cosign signed another statement");
        Ok(bundle)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn sign(&self, verb: &[&str], content: &Path) -> Result<Bundle> {
        let at = |name: &str| self.scratch.path().join(name);
        let mut command = Command::new("cosign");
        command.args(verb).arg(content).arg("--yes").arg("--key").arg(&self.key);
        command.arg("--signing-config").arg(at("signing.json"));
        command.arg("--trusted-root").arg(at("root.json"));
        command.arg("--bundle").arg(at("bundle.json"));
        run(&mut command)?;
        let bytes = fs::read(at("bundle.json")).context("cosign wrote no bundle")?;
        Bundle::parse(&bytes).context("cosign wrote another bundle than was asked for")
    }
}

/// Standard output of a command that succeeds.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .context("cannot run cosign; `cargo xtask setup` installs it into target/tools/bin")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, errors.trim());
    }
    Ok(output.stdout)
}
