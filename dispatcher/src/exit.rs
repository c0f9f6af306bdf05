// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Exit codes of the dispatcher. The numbers are an interface.

use std::{fmt, process::ExitCode};

/// Why the dispatcher failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line is wrong.
    Usage = 2,
    /// No task ISO was found in time.
    NoMedium = 10,
    /// The medium could not be mounted, or is no ISO 9660 image.
    Mount = 11,
    /// The schema on the medium is unusable or unknown.
    Schema = 12,
    /// The recipe, or a file beside it, could not be read, or is not JSON.
    Unreadable = 13,
    /// The recipe is not valid, or its signature is not accepted.
    Invalid = 14,
    /// `/run/provision` could not be written.
    Write = 15,
    /// The target is not installed on the image, or systemd would not start it.
    Systemd = 16,
    /// Only root may do this.
    Privileges = 17,
    /// Internal error.
    Panic = 20,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error with its exit code. `Display` is one line with every cause.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// A failure with the message of `error`.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#} (exit code {})", self.error, self.exit as u8)
    }
}

/// Gives an error its exit code.
pub(crate) trait OrExit<T> {
    /// Adds `context`, such as "cannot mount /dev/sr0".
    fn or_exit(self, exit: Exit, context: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit, context: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into().context(context.to_string()) })
    }
}

/// Makes a panic end the program with its own exit code and print the place. The panic message is
/// omitted: it could repeat a value of the recipe.
pub(crate) fn on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        match panic.location() {
            Some(place) => eprintln!("dispatcher: internal error at {place}"),
            None => eprintln!("dispatcher: internal error"),
        }
        std::process::exit(Exit::Panic as i32);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run by the test below, in a process of its own.
    #[test]
    #[ignore = "it ends the process"]
    fn panics() {
        on_panic();
        panic!("the secret");
    }

    #[test]
    fn a_panic_ends_with_its_code_and_prints_no_value() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "exit::tests::panics", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(20));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("internal error at "), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}
