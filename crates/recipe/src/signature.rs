// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/recipe.sig` on a task ISO: job and host of the task, digests of the other files, and the
//! controller's Ed25519 signature (RFC 8032) over these lines.
//!
//! ```text
//! provisioner-task 2
//! job f81d4fae-7dec-11d0-a765-00a0c91e6bf6
//! server CZ1234567X
//! created 1796000000
//! expires 1796172800
//! <sha256>  recipe.json
//! <sha256>  recipe.schema.json
//! <sha256>  user-data
//! signature ed25519 <base64 of 64 bytes>
//! ```
//!
//! Lines end in LF, and files are sorted by name, as `sha256sum` writes them. Every byte before the
//! line `signature` is signed. The first line prevents the use of a signature that was made for
//! another purpose. A signature is for one host: a task ISO for another host is refused, like an
//! unsigned one.
//!
//! `created` and `expires` are seconds since 1970, UTC. An old task ISO cannot be used after
//! `expires`. Version 1 had neither and is refused.

mod keys;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, VerifyingKey};

pub use ed25519_dalek::SigningKey;
pub use keys::{KeyError, PublicKeys, public_key_pem, signing_key_from_pem};

use crate::{
    contents::sha256_hex,
    text::{Sha256Hex, ShortText},
};

/// The first line: purpose and version of the format.
const HEADER: &str = "provisioner-task 2";
/// Prefix of the last line.
const SIGNATURE: &str = "signature ed25519 ";
/// The line of the first file, counted from 1, and its form.
const FIRST_FILE: usize = 6;
const FILE_LINE: &str = "SHA256, two spaces, NAME";
/// Largest file that is read, in bytes: four times the longest fields.
const MAX_BYTES: usize = 8 * 1024;

/// The content of a signature file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskManifest {
    /// The controller's job.
    pub job: ShortText,
    /// The serial number of the host that the task is for.
    pub server: ShortText,
    /// When the task may run.
    pub validity: Validity,
    /// The digest of each other file on the ISO, by name.
    pub files: BTreeMap<String, Sha256Hex>,
}

/// Validity of a task, in seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// When the job was created. An earlier clock is wrong.
    pub created: u64,
    /// The last second.
    pub expires: u64,
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The file is not in the form of [`TaskManifest::sign`].
    #[error("recipe.sig: line {line}: expected {expected}")]
    Form {
        /// The line, counted from 1.
        line: usize,
        /// The expected content.
        expected: &'static str,
    },
    /// None of the keys made it.
    #[error("recipe.sig: none of the {0} known keys made this signature")]
    Key(usize),
    /// The files differ from the signed ones.
    #[error("recipe.sig: {file} {what}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The task is for another host.
    #[error("recipe.sig: the task is for host {signed}, but this host is {actual}")]
    Server {
        /// The serial number in the signature.
        signed: ShortText,
        /// The serial number of this host.
        actual: ShortText,
    },
    /// The task has expired.
    #[error(
        "recipe.sig: the task expired {late} s ago: it is valid until {expires} (seconds since 1970)"
    )]
    Expired {
        /// The last second of the task.
        expires: u64,
        /// Seconds since then.
        late: u64,
    },
}

impl TaskManifest {
    /// The manifest of a task for `server` with `files`, by name.
    pub fn new<'a>(
        job: ShortText,
        server: ShortText,
        validity: Validity,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        Self { job, server, validity, files: digests(files) }
    }

    /// The signed lines.
    fn text(&self) -> String {
        let Self { job, server, validity: Validity { created, expires }, files } = self;
        let mut text =
            format!("{HEADER}\njob {job}\nserver {server}\ncreated {created}\nexpires {expires}\n");
        for (name, digest) in files {
            text.push_str(&format!("{digest}  {name}\n"));
        }
        text
    }

    /// `recipe.sig`. The same manifest and key always give the same bytes.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let signature = STANDARD.encode(key.sign(text.as_bytes()).to_bytes());
        format!("{text}{SIGNATURE}{signature}\n")
    }

    /// Reads `recipe.sig` and verifies it with `keys`.
    pub fn verify(file: &[u8], keys: &PublicKeys) -> Result<Self, SignatureError> {
        let form = |line, expected| SignatureError::Form { line, expected };
        let text = (file.len() <= MAX_BYTES).then(|| std::str::from_utf8(file).ok()).flatten();
        let text = text.ok_or(form(1, "at most 8 KiB of text"))?;
        let last = text.lines().count();
        let (signed, signature) = text
            .rfind(SIGNATURE)
            .and_then(|at| text.split_at_checked(at))
            .ok_or(form(last, "signature ed25519 BASE64"))?;
        let signature = signature
            .strip_prefix(SIGNATURE)
            .and_then(|line| line.strip_suffix('\n'))
            .and_then(|base64| STANDARD.decode(base64).ok())
            .and_then(|bytes| ed25519_dalek::Signature::from_slice(&bytes).ok())
            .ok_or(form(last, "signature ed25519 BASE64"))?;
        let made_it = |key: &VerifyingKey| key.verify_strict(signed.as_bytes(), &signature).is_ok();
        if !keys.iter().any(made_it) {
            return Err(SignatureError::Key(keys.iter().count()));
        }
        let manifest = Self::parse(signed)?;
        if manifest.text() == signed {
            Ok(manifest)
        } else {
            Err(form(FIRST_FILE, "the files sorted by name, each once"))
        }
    }

    fn parse(text: &str) -> Result<Self, SignatureError> {
        let form = |line, expected| SignatureError::Form { line, expected };
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(form(1, HEADER));
        }
        let mut field = |prefix: &str| lines.next()?.strip_prefix(prefix);
        let text = |value: Option<&str>| value?.parse().ok();
        let job = text(field("job ")).ok_or(form(2, "job ID"))?;
        let server = text(field("server ")).ok_or(form(3, "server SERIAL"))?;
        let seconds = |value: Option<&str>| value?.parse().ok();
        let created = seconds(field("created ")).ok_or(form(4, "created SECONDS"))?;
        let expires = seconds(field("expires ")).ok_or(form(5, "expires SECONDS"))?;
        let mut files = BTreeMap::new();
        for (index, line) in lines.enumerate() {
            let file = line.split_once("  ");
            let (digest, name) = file.ok_or(form(index + FIRST_FILE, FILE_LINE))?;
            let digest = digest.parse().map_err(|_| form(index + FIRST_FILE, FILE_LINE))?;
            files.insert(name.to_owned(), digest);
        }
        Ok(Self { job, server, validity: Validity { created, expires }, files })
    }

    /// Whether the task is still valid at `now`, in seconds since 1970.
    ///
    /// A clock that is behind accepts an expired task. `now` must not be earlier than the latest
    /// [`Validity::created`] of a verified signature.
    pub fn check_time(&self, now: u64) -> Result<(), SignatureError> {
        let expires = self.validity.expires;
        match now.checked_sub(expires) {
            None | Some(0) => Ok(()),
            Some(late) => Err(SignatureError::Expired { expires, late }),
        }
    }

    /// Whether the task is for `server`, and `files` are exactly the signed ones.
    pub fn check<'a>(
        &self,
        server: &ShortText,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), SignatureError> {
        if self.server != *server {
            let (signed, actual) = (self.server.clone(), server.clone());
            return Err(SignatureError::Server { signed, actual });
        }
        let actual = digests(files);
        let fault = |file: &String, what| SignatureError::File { file: file.clone(), what };
        for (name, digest) in &actual {
            match self.files.get(name) {
                None => return Err(fault(name, "is not among the signed files")),
                Some(signed) if signed != digest => {
                    return Err(fault(name, "differs from the signed file"));
                }
                Some(_) => {}
            }
        }
        match self.files.keys().find(|name| !actual.contains_key(*name)) {
            Some(name) => Err(fault(name, "is signed but missing")),
            None => Ok(()),
        }
    }
}

fn digests<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> BTreeMap<String, Sha256Hex> {
    let files = files.into_iter();
    files
        .filter_map(|(name, bytes)| Some((name.to_owned(), sha256_hex(bytes).parse().ok()?)))
        .collect()
}
