// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::prelude::*;

use crate::trust::Policy;

/// Text of `--help`.
pub(crate) const HELP: &str = "\
Find the task ISO, check its signature, validate its recipe, and start the target of the task.
Writes /run/provision, and /run/controller if the task ISO has a controller.json.

Usage: dispatcher [OPTIONS] [SOURCE]

Arguments:
  [SOURCE]  Block device, ISO file or folder with the task [default: optical, removable and read-only
            media whose volume label starts with TASK_; fixed disks are never searched]

Options:
      --timeout SECONDS   Time to wait for the medium [default: 600]
      --no-start          Do not start the target
      --signature POLICY  Without a valid /recipe.sig: accept (off), warn or refuse (enforce)
                          [default: enforce if the keys file exists, else off]
      --keys FILE         Public keys of trusted controllers, PEM
                          [default: /etc/provisioner/task-keys.pem]
      --root DIR          Read devices, keys and SMBIOS data below DIR, and write there
  -h, --help              Print help
  -V, --version           Print version, commit and date

Environment:
  PROVISIONER_SERIAL      Serial number of the host, instead of the one in SMBIOS

Exit codes: 0 done, 2 usage, 10 no medium in time, 11 mount, 12 schema, 13 recipe unreadable,
14 recipe invalid or signature refused, 15 writing, 16 systemd, 17 not root, 20 internal error.

Example: dispatcher --no-start --signature off --timeout 60 /dev/sr1
";

/// The public keys of an image that has any.
const DEFAULT_KEYS: &str = "etc/provisioner/task-keys.pem";

/// The command.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Version,
    Dispatch(Options),
}

/// Options of a dispatch.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// The medium, in place of a search.
    pub(crate) source: Option<PathBuf>,
    /// How long to wait for a medium.
    pub(crate) timeout: Duration,
    /// Whether to start the target.
    pub(crate) start: bool,
    /// Signature policy; `None` means that it depends on whether there is a key.
    pub(crate) policy: Option<Policy>,
    /// The file of the public keys.
    pub(crate) keys: PathBuf,
    /// The root of the host: `/` except in tests.
    pub(crate) root: PathBuf,
}

/// Parses the command line, program name first.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut options = Options {
        source: None,
        timeout: Duration::from_mins(10),
        start: true,
        policy: None,
        keys: PathBuf::new(),
        root: PathBuf::from("/"),
    };
    let mut keys = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("timeout") => options.timeout = Duration::from_secs(parser.value()?.parse()?),
            Long("no-start") => options.start = false,
            Long("signature") => options.policy = Some(parser.value()?.parse()?),
            Long("keys") => keys = Some(parser.value()?.into()),
            Long("root") => options.root = parser.value()?.into(),
            Value(source) if options.source.is_none() && !source.is_empty() => {
                options.source = Some(source.into());
            }
            other => return Err(other.unexpected()),
        }
    }
    options.keys = keys.unwrap_or_else(|| options.root.join(DEFAULT_KEYS));
    Ok(Command::Dispatch(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        let words = ["dispatcher"].into_iter().chain(line.split_whitespace());
        parse(words.map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_of_the_help_is_understood() {
        let example = HELP.lines().find_map(|line| line.strip_prefix("Example: dispatcher "));
        let Ok(Command::Dispatch(options)) = parse_line(example.unwrap()) else {
            panic!("{example:?}")
        };
        assert!(!options.start);
        assert_eq!(options.policy, Some(Policy::Off));
        assert_eq!(options.timeout, Duration::from_mins(1));
        assert_eq!(options.source, Some("/dev/sr1".into()));
        assert_eq!(options.keys, PathBuf::from("/etc/provisioner/task-keys.pem"));
    }

    #[test]
    fn help_texts_are_as_recorded() {
        insta::assert_snapshot!("help", format!("$ dispatcher --help\n{HELP}"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [
            ("--bogus", "--bogus"),
            ("one two", "two"),
            ("--timeout", "--timeout"),
            ("--timeout soon", "soon"),
            ("--signature maybe", "maybe"),
        ] {
            test_support::assert_contains(parse_line(line).unwrap_err(), named);
        }
    }
}
