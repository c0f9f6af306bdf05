// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Loads the signing key, and generates key pairs.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use files::{Mode, Pending};
use signing::{PrivateKey, keyfile};
use zeroize::Zeroizing;

/// Environment variable with the key: the path of a key file, or its text.
const KEY: &str = "XTASK_SIGNING_KEY";
/// Environment variable with the key's password, as for cosign.
const PASSWORD: &str = "COSIGN_PASSWORD";
/// Environment variable with the path of a password file; a trailing newline is ignored.
const PASSWORD_FILE: &str = "COSIGN_PASSWORD_FILE";

/// Loads the key from `file` or the environment; `None` if neither is set.
pub(crate) fn find(file: Option<&Path>) -> Result<Option<PrivateKey>> {
    if let Some(file) = file {
        return open(&read(file)?, &file.display().to_string()).map(Some);
    }
    let value = match env::var_os(KEY).map(OsString::into_string) {
        None => return Ok(None),
        Some(Ok(value)) if value.trim().is_empty() => return Ok(None),
        Some(Ok(value)) => Zeroizing::new(value),
        Some(Err(_)) => bail!("{KEY} is not UTF-8: expected the path of a key file, or its text"),
    };
    // A path never contains the first line of a PEM file.
    if value.contains("-----BEGIN") {
        return open(&value, KEY).map(Some);
    }
    let text = read(Path::new(&*value)).with_context(|| {
        format!("{KEY} must be the path of a key file, or its text from -----BEGIN to END-----")
    })?;
    open(&text, KEY).map(Some)
}

/// The key from `file` or the environment, as a value of cosign's `--key`. Key text stays in the
/// environment; any other value is a path or a KMS or HSM URI.
pub(crate) fn reference(file: Option<&Path>) -> Option<OsString> {
    if let Some(file) = file {
        return Some(file.as_os_str().to_owned());
    }
    let value = env::var_os(KEY).filter(|value| !value.is_empty())?;
    let is_text = value.to_string_lossy().contains("-----BEGIN");
    Some(if is_text { format!("env://{KEY}").into() } else { value })
}

/// Generates a key pair: `PREFIX.key` (mode 0600) and `PREFIX.pub`.
pub(crate) fn generate(prefix: &Path) -> Result<()> {
    let with = |extension: &str| {
        let mut path = prefix.as_os_str().to_owned();
        path.push(extension);
        path
    };
    let (private, public) = (with(".key"), with(".pub"));
    let (private, public) = (Path::new(&private), Path::new(&public));
    if let Some(path) = [private, public].into_iter().find(|path| path.exists()) {
        bail!("{} exists; move it away, or choose another --output-key-prefix", path.display());
    }
    let key = PrivateKey::generate();
    let text = Zeroizing::new(keyfile::encrypt(&key, password()?.as_bytes())?);
    create(private, text.as_bytes(), 0o600)?;
    create(public, key.public().to_pem()?.as_bytes(), 0o644)?;
    escape::print_line(format_args!(
        "private key: {}\npublic key:  {}",
        private.display(),
        public.display()
    ))?;
    Ok(())
}

/// Creates a file with the given mode; fails if it exists.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    Pending::new_in(files::parent(path), Mode::Exact(mode))
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.create(path)))
        .with_context(|| {
            format!("cannot create {}; existing files are not replaced", path.display())
        })
}

fn read(file: &Path) -> Result<Zeroizing<String>> {
    let text = fs::read_to_string(file);
    text.map(Zeroizing::new).with_context(|| format!("cannot read the key {}", file.display()))
}

fn open(text: &str, place: &str) -> Result<PrivateKey> {
    keyfile::decrypt(text, password()?.as_bytes())
        .with_context(|| format!("cannot open the signing key of {place}"))
}

/// Sets `COSIGN_PASSWORD` of `command` (cosign) from the password file, if one is configured.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn pass_password(command: &mut Command) -> Result<()> {
    if env::var_os(PASSWORD_FILE).is_some_and(|path| !path.is_empty()) {
        command.env(PASSWORD, password()?.as_str());
    }
    Ok(())
}

/// Returns the key's password, from the file in `COSIGN_PASSWORD_FILE` or from `COSIGN_PASSWORD`.
///
/// # Errors
/// When neither is set, or the file can't be read.
fn password() -> Result<Zeroizing<String>> {
    if let Some(path) = env::var_os(PASSWORD_FILE).filter(|path| !path.is_empty()) {
        return read_password(Path::new(&path));
    }
    let password = env::var(PASSWORD).with_context(|| {
        format!(
            "the key has a password: set {PASSWORD_FILE} to the path of a file with it, or \
             {PASSWORD} to nothing for a key without one"
        )
    })?;
    Ok(Zeroizing::new(password))
}

/// Returns the password in the file; a trailing newline is ignored.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn read_password(path: &Path) -> Result<Zeroizing<String>> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| format!("cannot read the password of the key, {}", path.display()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
