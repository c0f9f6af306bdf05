// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Command line arguments.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use verify::provenance::Pipeline;

use crate::key_args::KeyArgs;

/// Sign, attest, publish and verify a release folder
///
/// The signing key comes from --key FILE or from XTASK_SIGNING_KEY, the path or the PEM text of a
/// cosign key file. Its password comes from COSIGN_PASSWORD_FILE, the path of a file, or from
/// COSIGN_PASSWORD, empty for a key without password. With --engine cosign:keyless, an identity
/// signs instead of a key. Keys and passwords are never arguments.
#[derive(Debug, Parser)]
#[command(name = "notary", version = build_info::long_version(), verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate signing keys
    #[command(subcommand)]
    Key(KeyCommand),

    /// Sign every file and image of a release, and release.json
    ///
    /// Example: notary sign --release target/dist/latest --key cosign.key
    ///
    /// Writes signatures/, and the public key to cosign.pub. Signs nothing if a file or image does
    /// not match release.json.
    ///
    /// With --engine cosign:keyless, cosign requests a certificate of the signer's identity from
    /// Fulcio and a log entry from Rekor for each signature. release.json then has the signer, and
    /// there is no cosign.pub. The OIDC token comes from SIGSTORE_ID_TOKEN or the build service,
    /// never from an argument.
    ///
    /// Without a key, a snapshot is signed with a temporary key that is never written. The same run
    /// attests the release too, since the key is then lost; `notary attest` only checks it. For a
    /// candidate or stable release, a missing key is an error.
    #[command(verbatim_doc_comment)]
    Sign(SigningArgs),

    /// Attest the provenance (SLSA v1) and the SBOMs of a release
    ///
    /// Example: notary attest --release target/dist/latest --key cosign.key
    ///
    /// Writes provenance/, a statement for each file and image, and the attested SBOMs of each
    /// image (CycloneDX, SPDX 2.3) to sbom/. Run it after `notary sign`, with the same key or
    /// identity.
    ///
    /// With --rebuild, a third party attests with its own key that it built the same bytes:
    ///   notary attest --release 1.4.0 --rebuild target/dist/1.4.0 --key rebuilder.key
    #[command(verbatim_doc_comment)]
    Attest(AttestArgs),

    /// Publish a signed release folder to a registry
    ///
    /// Verifies the folder, then pushes blobs, manifests and signatures, and sets the tags last.
    /// Rerun it after an interruption: it skips what the registry has.
    ///
    /// Example:
    ///   notary publish --release target/dist/latest --to registry.example/provisioner
    #[command(verbatim_doc_comment)]
    Publish(crate::publish::Args),

    /// Copy a release from one registry to another, with all referrers
    ///
    /// Pushes in the order of `notary publish`, tags last. Rerun it after an interruption. Copies
    /// signatures without checking them: verify the copy.
    ///
    /// Example:
    ///   notary copy --from registry.example/provisioner:1.4.0 --to mirror.example/provisioner
    #[command(verbatim_doc_comment)]
    Copy(crate::publish::copy::Args),

    /// Write a release with its images, signatures and attestations to one file
    ///
    /// The file is a tar archive of an OCI image layout, which skopeo (oci-archive:) and oras read
    /// too. Equal releases give equal bytes. Signatures are copied and not checked.
    ///
    /// Examples:
    ///   notary bundle --release target/dist/1.4.0 --to provisioner-1.4.0.tar
    ///   notary bundle --from registry.example/provisioner:1.4.0 --to provisioner-1.4.0.tar
    #[command(verbatim_doc_comment)]
    Bundle(crate::publish::bundle::Args),

    /// Unpack a bundle into a release folder, or publish it to a registry
    ///
    /// Every file and image must match its digest and release.json. Verify the result offline with
    /// `notary verify` or `controller verify-release`, and a key that did not come with the bundle.
    ///
    /// Examples:
    ///   notary unbundle provisioner-1.4.0.tar --release 1.4.0
    ///   notary unbundle provisioner-1.4.0.tar --to registry.site.example/provisioner
    #[command(verbatim_doc_comment)]
    Unbundle(crate::publish::bundle::unbundle::Args),

    /// Add a release to a folder of a static site
    ///
    /// Writes every file of the release and an index.html to vVERSION/, and an index.html of all
    /// versions beside it. Never replaces a file: if one exists with other content, the command fails
    /// and writes nothing.
    ///
    /// XTASK_OPENPGP_KEY, the path of an OpenPGP secret key, adds apt and dnf repositories of the stable
    /// releases, which it signs. XTASK_OPENPGP_PASSWORD_FILE is the path of a file with the password of
    /// the key, if any. Needs apt-ftparchive, createrepo_c and gpg.
    ///
    /// Examples:
    ///   notary release-page --release target/dist/1.4.0 --to site
    ///   notary release-page --yank 1.4.0 --reason "loses data" --by release@example --to site
    ///
    /// --yank marks a version, and takes it from the apt and dnf repositories.
    #[command(verbatim_doc_comment)]
    ReleasePage(crate::pages::Args),

    /// Publish the files of a release as a release of a GitHub repository
    ///
    /// Uploads every file to a draft, then publishes the draft. Rerun it after an interruption: it
    /// skips uploaded files. Never changes published files. The tag must be in the repository and
    /// point to the commit of the release.
    ///
    /// --yank puts a notice at the start of the notes of a published release and makes it a
    /// pre-release. The newest stable release that is not yanked becomes the latest.
    ///
    /// GITHUB_TOKEN is a token with the permission `contents: write`. GITHUB_API_URL is the API of a
    /// GitHub Enterprise server [default: that of github.com].
    ///
    /// Examples:
    ///   notary github-release --release target/dist/1.4.0 --repository owner/name --notes notes.md
    ///   notary github-release --yank 1.4.0 --reason "loses data" --by me@example --repository owner/name
    #[command(verbatim_doc_comment)]
    GithubRelease(crate::github::Args),

    /// Push images of a snapshot with their tags, unsigned
    ///
    /// Example:
    ///   notary push-images tools/sgdisk --release target/dist/latest --to 127.0.0.1:5000/provisioner
    #[command(verbatim_doc_comment)]
    PushImages(crate::publish::images::Args),

    /// Push the test operating systems to a registry, as `ci/NAME`, separate from releases
    ///
    /// Example:
    ///   notary push-test-artifacts --from target/test-artifacts/VERSION --to 127.0.0.1:5000/provisioner
    #[command(verbatim_doc_comment)]
    PushTestArtifacts(crate::publish::test_artifacts::Args),

    /// Show where each channel of a registry points, since when and by whom
    ///
    /// Examples:
    ///   notary channels --registry registry.example/provisioner --key cosign.pub
    ///   notary channels --registry registry.example/provisioner --key cosign.pub --history --json
    ///
    /// Exits with 1 if a tag differs from the signed record, or the record has expired.
    #[command(verbatim_doc_comment)]
    Channels(crate::channel::ShowArgs),

    /// Point a channel to a release that is in the registry
    ///
    /// Example:
    ///   notary promote 1.4.0 --to stable --registry registry.example/provisioner --by release@example --key cosign.key
    ///
    /// Verifies the release first. The tag moves in every repository of the release. A run that was
    /// interrupted is finished, or undone, by the next command that changes a channel, 10 minutes
    /// after its start.
    #[command(verbatim_doc_comment)]
    Promote(crate::channel::PromoteArgs),

    /// Point a channel back to an older release
    ///
    /// Example:
    ///   notary rollback stable --registry registry.example/provisioner --by release@example --key cosign.key
    #[command(verbatim_doc_comment)]
    Rollback(crate::channel::RollbackArgs),

    /// Withdraw a release: it enters no channel any more, and `notary verify` refuses it
    ///
    /// Example:
    ///   notary yank 1.4.0 --reason "loses data" --registry registry.example/provisioner --by release@example
    #[command(verbatim_doc_comment)]
    Yank(crate::channel::YankArgs),

    /// Renew the record of channels with a later expiry, and finish an interrupted change
    ///
    /// Example:
    ///   notary refresh-channels --registry registry.example/provisioner --by cron@example --key cosign.key
    #[command(verbatim_doc_comment)]
    RefreshChannels(crate::channel::ChangeArgs),

    /// Delete or print the releases in a registry that have expired by the retention rules
    ///
    /// Example:
    ///   notary retention --registry registry.example/provisioner --plan
    #[command(verbatim_doc_comment)]
    Retention(crate::retention::Args),

    /// Verify a release with the public key or identity of its signer
    ///
    /// Examples:
    ///   notary verify --release target/dist/latest --key cosign.pub
    ///   notary verify --registry registry.example/provisioner:1.4.0 --key cosign.pub --json
    ///   notary verify --release DIR --certificate-identity NAME --certificate-oidc-issuer URL
    ///
    /// A folder is verified offline. The report lists every fault and ends with VERIFIED or
    /// REJECTED. Obtain the public key or the identity from a trusted source, not from the release.
    #[command(verbatim_doc_comment, after_help = verify::cli::EXIT_CODES)]
    Verify(verify::cli::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Generate a key pair: PREFIX.key, encrypted with the password, and PREFIX.pub
    ///
    /// Example: notary key generate --output-key-prefix release
    ///
    /// The password comes from COSIGN_PASSWORD_FILE or COSIGN_PASSWORD. The files have the format
    /// of `cosign generate-key-pair`. Existing files are not replaced.
    #[command(verbatim_doc_comment)]
    Generate {
        /// Path of both files without extension
        #[arg(long, value_name = "PREFIX", default_value = "cosign")]
        output_key_prefix: PathBuf,
    },
}

/// Arguments of signing and attesting.
#[derive(Debug, Args)]
pub(crate) struct SigningArgs {
    /// Folder with release.json
    #[arg(long, value_name = "DIR")]
    pub(crate) release: PathBuf,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Pipeline in the provenance: main, release or nightly
    #[arg(long, value_name = "NAME", default_value = "release", value_parser = pipeline)]
    pub(crate) pipeline: Pipeline,
    /// builder.id of the provenance, such as the reusable workflow of a build service [default: the
    /// local build, SOURCE/builders/local/v1]
    #[arg(long, value_name = "URI")]
    pub(crate) builder: Option<String>,
}

/// Arguments of attesting.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    /// Release folder of a rebuild: attest that it has the same bytes, to rebuilds/ of --release
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pipeline", "builder"])]
    pub(crate) rebuild: Option<PathBuf>,
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

    #[test]
    fn help_texts_are_as_recorded() {
        insta::assert_snapshot!("help", test_support::help::texts(super::Cli::command()));
    }
}
