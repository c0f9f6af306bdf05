// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command line and nothing else.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use verify::provenance::Pipeline;

/// Signs, attests, publishes and verifies a release folder.
///
/// With --engine cosign:keyless there is no key: whoever proves an identity signs. Otherwise the signing key is the one in --key FILE or, without that, in the environment variable
/// XTASK_SIGNING_KEY, which holds either the path of a key file or the PEM text of one. Its
/// password is in the file whose path is in COSIGN_PASSWORD_FILE, or in COSIGN_PASSWORD (set it to nothing for a
/// key without one). Key files are cosign's. Neither key nor password is ever an argument.
#[derive(Debug, Parser)]
#[command(name = "notary", version = build_info::long_version(), verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes signing keys.
    #[command(subcommand)]
    Key(KeyCommand),

    /// Signs every file and image of a release, and release.json itself.
    ///
    /// Example: notary sign --release target/dist/latest --key cosign.key
    ///
    /// Writes signatures/, and cosign.pub with the public key. Nothing is signed unless every file
    /// and image is what release.json says.
    ///
    /// With --engine cosign:keyless, cosign asks an authority (Fulcio) for a certificate of who signs, for
    /// each signature, and has a log (Rekor) take it down; release.json then names the signer, and there is
    /// no cosign.pub. The token that proves the identity comes from where cosign looks for it:
    /// SIGSTORE_ID_TOKEN, or the build service. It is never an argument.
    ///
    /// Without a key, a snapshot is signed with one that is made in memory for this run and never
    /// written. Since nobody can use it again, the same run attests as well, and `notary attest`
    /// afterwards only checks that it did. A candidate or stable release without a key is an error.
    #[command(verbatim_doc_comment)]
    Sign(SigningArgs),

    /// Attests how a release was built (SLSA provenance v1), and what its images are made of.
    ///
    /// Example: notary attest --release target/dist/latest --key cosign.key
    ///
    /// Writes provenance/, one statement for each file and image, and the attested bills of materials of
    /// each image (CycloneDX, SPDX 2.3) beside them in sbom/. Run it after `notary sign`, with the same key
    /// or identity: a release has one.
    #[command(verbatim_doc_comment)]
    Attest(SigningArgs),
    /// Publishes a signed release folder to a registry.
    ///
    /// Everything is checked on disk first; then blobs, manifests and signatures are sent, and tags are
    /// set last of all. A run that was cut off is run again; what is there is not sent twice.
    ///
    /// Example:
    ///   notary publish --release target/dist/latest --to registry.example/provisioner
    #[command(verbatim_doc_comment)]
    Publish(crate::publish::Args),

    /// Pushes images of a snapshot, unsigned, under their tags.
    ///
    /// Example:
    ///   notary push-images tools/sgdisk --release target/dist/latest --to 127.0.0.1:5000/provisioner
    #[command(verbatim_doc_comment)]
    PushImages(crate::publish::images::Args),

    /// Pushes the operating systems for tests to a registry, as `ci/NAME`, where no release is.
    ///
    /// Example:
    ///   notary push-test-artifacts --from target/test-artifacts/VERSION --to 127.0.0.1:5000/provisioner
    #[command(verbatim_doc_comment)]
    PushTestArtifacts(crate::publish::test_artifacts::Args),

    /// Checks a release from what was published and the public key, or the name of who signed, alone.
    ///
    /// Examples:
    ///   notary verify --release target/dist/latest --key cosign.pub
    ///   notary verify --registry registry.example/provisioner:1.4.0 --key cosign.pub --json
    ///   notary verify --release DIR --certificate-identity NAME --certificate-oidc-issuer URL
    ///
    /// A folder is checked without a network. Every fault is named; the table ends in VERIFIED or
    /// REJECTED. Get the public key, or the name, from somewhere else than the release.
    #[command(verbatim_doc_comment, after_help = verify::cli::EXIT_CODES)]
    Verify(verify::cli::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a key pair: PREFIX.key, encrypted with the password of COSIGN_PASSWORD_FILE or COSIGN_PASSWORD, and PREFIX.pub.
    ///
    /// Example: notary key generate --output-key-prefix release
    ///
    /// cosign opens the result as if `cosign generate-key-pair` had made it. Files that exist are
    /// never replaced.
    #[command(verbatim_doc_comment)]
    Generate {
        /// Path of both files without their extensions.
        #[arg(long, value_name = "PREFIX", default_value = "cosign")]
        output_key_prefix: PathBuf,
    },
}

/// What signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Our own code.
    Native,
    /// The program, with a key.
    Cosign,
    /// The program, without one.
    #[value(name = "cosign:keyless")]
    Keyless,
}

/// What signing and attesting need to know.
#[derive(Debug, Args)]
pub(crate) struct SigningArgs {
    /// Folder with release.json.
    #[arg(long, value_name = "DIR")]
    pub(crate) release: PathBuf,
    /// File with the private key, instead of XTASK_SIGNING_KEY; with --engine cosign also whatever
    /// its --key takes, such as awskms://…, hashivault://… or pkcs11:….
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// What signs: our own code, or the program cosign (3.1 or later) with a key or as an identity.
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub(crate) engine: Engine,
    /// With cosign:keyless: the services to use, as cosign's option of that name [default: those of Sigstore's
    /// public service, which cosign fetches].
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    /// With cosign:keyless: the trusted_root.json that what they answer is held against [default: that of
    /// Sigstore's public service].
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// The pipeline that built, as the provenance names it.
    #[arg(long, value_name = "NAME", default_value = "release", value_parser = pipeline)]
    pub(crate) pipeline: Pipeline,
    /// `builder.id` of the provenance: the reusable workflow on a build service [default: the build
    /// on a person's machine, SOURCE/builders/local/v1].
    #[arg(long, value_name = "URI")]
    pub(crate) builder: Option<String>,
}

fn pipeline(name: &str) -> Result<Pipeline, String> {
    match name {
        "main" => Ok(Pipeline::Main),
        "release" => Ok(Pipeline::Release),
        "nightly" => Ok(Pipeline::Nightly),
        _ => Err("expected main, release or nightly".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
