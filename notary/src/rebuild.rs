// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary attest --rebuild`: attests that a rebuild of a release has the same bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use files::Mode;
use oci::Digest;
use release::{Manifest, layout};
use verify::rebuild;

use crate::cli::SigningArgs;
use crate::release_folder::ReleaseFolder;
use crate::signer::Signer;

/// Compares the release with the folder `rebuilt`, and writes the attestation. Of the release, only
/// `release.json` is needed.
///
/// # Errors
/// When there is no key of another signer, or a file or image differs.
pub(crate) fn run(args: &SigningArgs, rebuilt: &Path) -> Result<()> {
    let signer = Signer::find(&args.keys, None)?.context(
        "attesting a rebuild needs a key: set XTASK_SIGNING_KEY and COSIGN_PASSWORD, or give --key FILE",
    )?;
    let key = signer.public().context("a rebuild is attested with a key, not as an identity")?;
    let path = args.release.join(layout::MANIFEST);
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let published = Manifest::parse(&text).with_context(|| path.display().to_string())?;
    let release_key = files::absent_is_none(fs::read(args.release.join(layout::PUBLIC_KEY)))?;
    ensure!(
        release_key.as_deref() != Some(key.to_pem()?.as_bytes()),
        "the release was signed with this key; a rebuild is attested with another one"
    );
    let rebuilt = ReleaseFolder::open(rebuilt)?;
    let differences = rebuild::differences(&published, &rebuilt.manifest);
    ensure!(
        differences.is_empty(),
        "the rebuild {} differs from {}, and nothing was attested:\n  {}",
        rebuilt.root.display(),
        path.display(),
        differences.join("\n  ")
    );
    let bundle = signer.sign_statement(&rebuild::statement(&text, &published)?)?.to_json()?;
    let path = args.release.join(layout::rebuild(Digest::sha256(&bundle).hex()));
    fs::create_dir_all(files::parent(&path))
        .and_then(|()| files::write(&path, Mode::Exact(0o644), &bundle))
        .with_context(|| format!("cannot write {}", path.display()))?;
    escape::print_line(format_args!(
        "{}: attested a rebuild of {}, key {}",
        path.display(),
        published.version,
        key.hint()
    ))?;
    Ok(())
}
